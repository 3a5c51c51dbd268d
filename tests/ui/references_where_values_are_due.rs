use procession::{Pool, job, pool_map, process_job, spawn};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

#[derive(Clone, Serialize, Deserialize)]
struct Order(u64);

#[process_job]
fn total(order: Order) -> u64 {
    order.0
}

#[process_job]
fn echo<T: Serialize + DeserializeOwned>(x: T) -> T {
    x
}

#[process_job]
fn length(text: String) -> usize {
    text.len()
}

fn main() {
    let pool = Pool::new(2).unwrap();
    let orders = vec![Order(1)];
    let _ = pool_map!(total, &orders);
    //~^ E0271 at `&orders`: type mismatch resolving … expected `Order`, found `&Order`
    let _ = pool_map!(in pool, total, orders.iter());
    //~^ E0271 at `orders.iter()`: type mismatch resolving … expected `Order`, found `&Order`
    let _ = pool.map(job!(total), &orders);
    //~^ E0271 at `&orders`: type mismatch resolving … expected `Order`, found `&Order`
    let _ = spawn!(total(&orders[0]));
    //~^ E0308 at `&orders[0]`: expected `Order`, found `&Order`
    let _ = pool_map!(length, ["a"]);
    //~^ E0271 at `["a"]`: type mismatch resolving … expected `String`, found `&str`
    let _ = pool_map!(echo, &orders);
    //~^ E0277 at `&`: `&Order` cannot travel to a worker process … for `&items` give `items` or `items.iter().cloned()`
}
