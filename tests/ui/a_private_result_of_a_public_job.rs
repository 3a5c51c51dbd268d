// rustc only warns of the function itself; what makes the job is stricter.
mod inner {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Hidden;

    #[procession::process_job]
    #[allow(private_interfaces, dead_code)]
    pub fn job() -> Hidden {
    //~^ E0446 at `Hidden`: private type `Hidden` in public interface
        Hidden
    }
}

fn main() {}
