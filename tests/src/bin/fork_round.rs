//! One round of the storm (`tests/chaos`) with a pool whose workers are forks of this program: `fork_round SEED NAME`. Such a
//! pool needs a program of one thread, which no test has. Prints the round's report.

#![cfg_attr(not(target_os = "linux"), no_main)]
#![cfg(target_os = "linux")]

#[path = "../../chaos/audit.rs"]
mod audit;
#[path = "../../chaos/faults.rs"]
mod faults;
#[path = "../../chaos/random.rs"]
mod random;
#[path = "../../chaos/report.rs"]
mod report;
#[path = "../../chaos/round.rs"]
mod round;
#[path = "../../chaos/shape.rs"]
mod shape;
#[path = "../../chaos/work.rs"]
mod work;

use procession::StartMethod;

fn main() {
    let args: Vec<_> = std::env::args().skip(1).collect();
    let [seed, name] = &args[..] else {
        panic!("a seed and a name, not {args:?}");
    };
    let seed = seed.parse().expect("a number");
    print!("{}", round::run(seed, name, StartMethod::Fork));
}
