//! What comparisons find, and what they do not, just below each threshold.

use quantviz_insight::{Code, Fact, Finding, Level, OffGrid, PairEvidence, findings_of_pairs};

fn pair() -> PairEvidence {
    PairEvidence { parameter: "fc.weight".to_owned(), sqnr_db: Some(40.0), ..PairEvidence::default() }
}

fn found(pair: PairEvidence) -> Vec<(Code, Level)> {
    findings_of_pairs(&[pair]).iter().map(|finding| (finding.code, finding.level)).collect()
}

#[test]
fn nothing_is_found_in_a_good_pair() {
    assert_eq!(findings_of_pairs(&[]), []);
    assert_eq!(findings_of_pairs(&[pair(), PairEvidence { exact: true, sqnr_db: None, ..pair() }]), []);
}

#[test]
fn scales_that_silence_something() {
    assert_eq!(found(PairEvidence { silenced: 0.011, ..pair() }), [(Code::BadScale, Level::Error)]);
    assert_eq!(found(PairEvidence { silenced: 0.01, ..pair() }), []);
}

#[test]
fn one_channel_that_stretches_the_range() {
    let with = |gain| PairEvidence { outlier_gain_db: Some(gain), outlier_channel: Some(3), ..pair() };
    assert_eq!(found(with(6.0)), [(Code::OutlierChannel, Level::Warning)]);
    assert_eq!(found(with(5.99)), []);
    let [finding] = &findings_of_pairs(&[with(9.53)])[..] else { panic!("one") };
    assert_eq!(finding.message, "scales per channel would gain 9.53 dB (channel 3)");
}

#[test]
fn clipped_values() {
    let with = |noise| PairEvidence { clip_noise: Some(noise), clipped: 0.01, ..pair() };
    assert_eq!(found(with(0.101)), [(Code::Clipped, Level::Warning)]);
    assert_eq!(found(with(0.1)), []);
    assert_eq!(found(PairEvidence { clip_noise: None, clipped: 0.5, ..pair() }), []);
}

#[test]
fn negatives_that_are_lost() {
    let with = |least, negatives, smallest| PairEvidence {
        smallest_code_value: Some(least),
        negatives,
        reference_range: Some((smallest, 1.0)),
        ..pair()
    };
    assert_eq!(found(with(0.0, 1000, -0.8)), [(Code::NegativesLost, Level::Error)]);
    assert_eq!(found(with(-0.01, 1000, -0.8)), []);
    assert_eq!(found(with(0.0, 0, 0.0)), []);
}

#[test]
fn codes_that_another_method_chose() {
    let with = |share, why| PairEvidence { off_grid: share, off_grid_because: why, ..pair() };
    assert_eq!(found(with(0.0011, Some(OffGrid::Compensated))), [(Code::OffGrid, Level::Info)]);
    assert_eq!(found(with(0.001, None)), []);
    let because = |why| findings_of_pairs(&[with(0.5, why)])[0].evidence.get("because").cloned();
    let text = |text: &str| Some(Fact::Text(text.to_owned()));
    assert_eq!(because(Some(OffGrid::Compensated)), text("GPTQ-like"));
    assert_eq!(because(Some(OffGrid::OutputGain)), text("gain"));
    let mut twice = with(0.5, Some(OffGrid::CommonFactor));
    twice.common_factor = Some(2.0);
    let [finding] = &findings_of_pairs(&[twice])[..] else { panic!("one") };
    assert_eq!((finding.code, finding.level), (Code::OffGrid, Level::Warning));
    assert!(
        finding.message.starts_with("every value is 2 times that of the reference"),
        "{}",
        finding.message
    );
    assert_eq!(because(Some(OffGrid::InputGain)), text("input gain"));
    assert_eq!(because(None), text("other"));
}

#[test]
fn files_that_do_not_belong_together() {
    let with = |numbers: &[f64]| -> Vec<Finding> {
        let pairs: Vec<_> = numbers.iter().map(|&db| PairEvidence { sqnr_db: Some(db), ..pair() }).collect();
        findings_of_pairs(&pairs)
    };
    let [finding] = &with(&[40.0, 2.9, -1.0])[..] else { panic!("one") };
    assert_eq!(
        (finding.code, finding.level, finding.parameter.as_ref()),
        (Code::NotItsReference, Level::Error, None)
    );
    assert_eq!(with(&[-1.0, 3.0, 3.1]), []);
    // Without a signal there is nothing that could belong together; without an error there is.
    let silent = PairEvidence { sqnr_db: None, exact: false, ..pair() };
    assert_eq!(found(silent), [(Code::NotItsReference, Level::Error)]);
    assert_eq!(found(PairEvidence { sqnr_db: None, exact: true, ..pair() }), []);
}
