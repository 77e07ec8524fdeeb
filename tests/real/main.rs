//! Against the real thing: programs that others wrote, as Debian packages them.

mod plugins;
