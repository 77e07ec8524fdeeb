//! Whole servers and consoles over lines of this process that break at random, in simulated time.
