//! What a failed check means for clients, and what to do. Sentences of ours, by the check's name.

/// `None` for a check that is new here: its reason stands alone.
pub fn advice(check: &str) -> Option<&'static str> {
    Some(match check {
        "observed" => {
            "Look whether core runs, and at its log. If this lasts, liveness fails and core is \
             restarted."
        }
        "answering" => "Core does not answer its sidecar any more: a restart of core is due.",
        "ticking" | "applying" => {
            "Core answers, but one of its loops stands still: a restart of core is due."
        }
        "opened" | "serving" => "Clients are not served. While the phase moves on, wait.",
        "data_corruption" => {
            "Members disagree about data. Do not write; restore this member from a good one or from \
             a snapshot, then disarm the alarm."
        }
        "space" => {
            "Writes are refused; reads and deletes work. Compact or delete, or give more room. An \
             alarm of the disk clears itself; another one is to be disarmed."
        }
        "linearizable_read" => {
            "Writes and linearizable reads wait until a majority of members is there and has \
             elected a leader. A restart does not help."
        }
        "caught_up" => "It has just started and still applies what the others have written: wait.",
        "disk" => {
            "Writes are refused before the disk is full. Compact or delete, or give more room: the \
             alarm clears itself."
        }
        "non_learner" => "A learner serves no clients until it is promoted.",
        "serializable_read" => {
            "Core could not read its own store: look at its log and at the disk."
        }
        "writable" => "Look at the data directory's mount, its permissions and the disk.",
        _ => return None,
    })
}
