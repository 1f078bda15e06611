//! What becomes of whole jobs on bad days: each ends soon, says why, and can be taken up, or goes on.
mod disk;
mod good_days;
mod hangs;
mod kills;
mod refusals;
mod signals;
