//! The gate, `bifora verify`: asks a deployment through its load balancer and judges whether what answers is what was built.
//!
//! - [`expect`] is what was built; [`observation`] is what one question brought; [`judge`] holds the second against the first.
//!   All three are pure: the same observations, in any order, give the same [`verdict`].
//! - [`client`] asks one question; [`reading`] makes an observation of the reply; [`gathering`] decides when the settle window
//!   opens, and what is asked next; [`sampler`] drives them in time.
//! - [`progress`], [`report`] and [`output`] tell people and pipelines.

pub mod client;
pub mod expect;
pub mod gathering;
pub mod judge;
pub mod observation;
pub mod output;
pub mod progress;
pub mod reading;
pub mod report;
pub mod sampler;
pub mod verdict;
