use procession::{job, pool_map, spawn};

fn plain(x: u64) -> u64 {
    x
}

struct NoJob;

fn main() {
    plain(1);
    let _ = pool_map!(plain, 0..3);
    //~^ E0574 at `plain`: expected struct, variant or union type, found function `plain`
    let _ = spawn!(plain(1));
    //~^ E0574 at `plain`: expected struct, variant or union type, found function `plain`
    let _ = job!(plain);
    //~^ E0574 at `plain`: expected struct, variant or union type, found function `plain`
    let _ = job!(NoJob);
    //~^ E0560 at `NoJob`: struct `NoJob` has no field named `job`
}
