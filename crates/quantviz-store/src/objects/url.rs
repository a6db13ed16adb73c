//! Places that are URLs.

use quantviz_core::{Error, Result};

use super::place::Place;

/// What a place begins with that is a URL and no path.
const SCHEMES: [&str; 3] = ["s3://", "gs://", "az://"];

/// Whether a place is the URL of a service.
pub(super) fn is_url(place: &str) -> bool {
    SCHEMES.iter().any(|scheme| place.starts_with(scheme))
}

#[cfg(not(feature = "cloud"))]
pub(super) fn place(url: &str) -> Result<Place> {
    Err(Error::unsupported("this build knows folders alone; build it with the feature `cloud`").in_file(url))
}

/// The credentials, and where the service is if it is not the usual one, come from the environment.
#[cfg(feature = "cloud")]
pub(super) fn place(url: &str) -> Result<Place> {
    use std::sync::Arc;
    use std::time::Duration;

    use object_store::aws::AmazonS3Builder;
    use object_store::azure::MicrosoftAzureBuilder;
    use object_store::gcp::GoogleCloudStorageBuilder;
    use object_store::path::Path;
    use object_store::{ObjectStore, RetryConfig};

    let wrong = |why: String| Error::malformed(why).in_file(url);
    let parsed = ::url::Url::parse(url).map_err(|error| wrong(error.to_string()))?;
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err(wrong("it names no bucket; s3://bucket/runs would".to_owned()));
    }
    let root = Path::from_url_path(parsed.path()).map_err(|error| wrong(error.to_string()))?;
    // Whoever records goes on without it and tries again.
    let retry = RetryConfig { retry_timeout: Duration::from_secs(20), ..RetryConfig::default() };
    let bucket = format!("{}://{}", parsed.scheme(), parsed.host_str().unwrap_or_default());
    let objects: object_store::Result<Arc<dyn ObjectStore>> = match parsed.scheme() {
        "s3" => {
            AmazonS3Builder::from_env().with_url(bucket).with_retry(retry).build().map(|it| Arc::new(it) as _)
        }
        "gs" => GoogleCloudStorageBuilder::from_env()
            .with_url(bucket)
            .with_retry(retry)
            .build()
            .map(|it| Arc::new(it) as _),
        _ => MicrosoftAzureBuilder::from_env()
            .with_url(bucket)
            .with_retry(retry)
            .build()
            .map(|it| Arc::new(it) as _),
    };
    let objects = objects.map_err(|error| Error::unsupported(error.to_string()).in_file(url))?;
    Ok(Place::new(objects, root, url.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_no_urls() {
        assert!(is_url("s3://bucket/runs") && is_url("gs://bucket") && is_url("az://container/runs"));
        assert!(!is_url("./quantviz-runs") && !is_url("s3") && !is_url("C:\\runs"));
    }

    #[cfg(not(feature = "cloud"))]
    #[test]
    fn a_build_without_services_says_so() {
        let error = place("s3://bucket/runs").expect_err("no services");
        assert_eq!(
            error.to_string(),
            "s3://bucket/runs: this build knows folders alone; build it with the feature `cloud`"
        );
    }
}
