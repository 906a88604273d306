//! How much memory a change and an opening take at most, over the size of the session. The allocator of this program
//! counts, and so is a program of its own: `growth` runs it.

#![allow(dead_code, reason = "of the contestants, two take part")]

#[path = "../contestants.rs"]
mod contestants;
#[path = "../grown.rs"]
mod grown;
#[path = "../../../sessions/mod.rs"]
mod sessions;

use std::collections::BTreeMap;
use std::hint::black_box;

use allocation_counter::measure;

use contestants::Session;
use grown::{Entry, Grown, SIZES, Value};

fn main() {
    kind::<String>();
    kind::<Vec<String>>();
    kind::<BTreeMap<String, String>>();
    kind::<BTreeMap<String, BTreeMap<String, Entry>>>();
}

fn kind<V: Value>()
where
    Grown<V>: Session,
{
    for bytes in SIZES {
        let session = grown::of::<V>(bytes);
        let all = [contestants::ours(), contestants::private_jar()];
        let headers = [0, 1].map(|i| all[i].header(&session));
        // What is made once for the process is made before.
        for (contestant, header) in all.iter().zip(&headers) {
            (contestant.cycle)(header);
        }
        let peak = |work: &dyn Fn()| measure(work).bytes_max;
        let [change, jar_change] =
            [0, 1].map(|i| peak(&|| drop(black_box((all[i].cycle)(&headers[i])))));
        let [open, jar_open] =
            [0, 1].map(|i| peak(&|| drop(black_box((all[i].decode)(&headers[i])))));
        println!("{}: {bytes} {change} {jar_change} {open} {jar_open}", V::NAME);
    }
}
