use quantviz::ParameterSource;
use std::ops::ControlFlow;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let r = quantviz::open(&args[1]).unwrap();
    let q = quantviz::open(&args[2]).unwrap();
    let t = std::time::Instant::now();
    let c = quantviz::Compare::new().run(&*r, &*q, &|_| ControlFlow::Continue(())).unwrap();
    eprintln!("{:?}", t.elapsed());
    for p in &c.pairs {
        let (a, b) = (r.model().parameter(p.pair.reference), q.model().parameter(p.pair.quantized));
        match &p.fidelity {
            Ok(f) => println!(
                "{} <- {} {:?} t={} gain={} sqnr {:?} rtn {:?} clip {:?} offgrid {:?} ends {:?} levels {:?} outl {:?} bpw {:.2} ch {:?}",
                b.name,
                a.name,
                p.pair.matched_by,
                p.pair.alignment.transposed,
                match &p.pair.alignment.gain {
                    quantviz::Gain::None => "-".into(),
                    quantviz::Gain::BatchNorm { name, .. } => name.clone(),
                    quantviz::Gain::Output(_) => "out".into(),
                    _ => "in".into(),
                },
                f.sqnr_db,
                f.rtn_sqnr_db,
                f.clipped,
                f.off_grid,
                f.at_ends,
                f.levels,
                f.outlier_gain_db,
                p.bits_per_weight,
                f.channels.as_ref().map(|c| (c.axis, c.min, c.median))
            ),
            Err(e) => println!("{}: {e}", b.name),
        }
    }
    for u in &c.unmatched_reference {
        println!("ref {}: {}", r.model().parameter(u.parameter).name, u.why);
    }
    for u in &c.unmatched_quantized {
        println!("q {}: {}", q.model().parameter(u.parameter).name, u.why);
    }
    println!("model {:?} bits {:?}", c.sqnr_db, c.bits_per_weight);
}
