//! Catches panics in third-party code.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

thread_local! {
    /// How many nested calls of [`catch`] this thread is in.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// Where the last silenced panic of this thread happened.
    static PLACE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs `work` and turns a panic into its message.
///
/// The program's panic hook stays as it is and still reports the panic, unless it was silenced with
/// [`quiet_caught_panics`].
///
/// # Errors
/// Returns the text of the panic.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    DEPTH.set(DEPTH.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    done.map_err(|panic| {
        let text = panic_text(&*panic);
        // A hook that prints says where; a silent one leaves that to whoever shows the text.
        PLACE.take().map_or(text.clone(), |place| format!("{text} ({place})"))
    })
}

/// Keeps panics inside [`catch`] from being printed. For programs that own their panic hook, such as `ocelli` itself;
/// the library never calls it.
pub fn quiet_caught_panics() {
    static QUIET: Once = Once::new();
    QUIET.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if DEPTH.get() == 0 {
                before(info);
            } else {
                PLACE.set(info.location().map(ToString::to_string));
            }
        }));
    });
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_panic_said_is_returned() {
        assert_eq!(catch(|| 3), Ok(3));
        assert_eq!(catch(|| -> u8 { panic!("at {}", 7) }), Err("at 7".into()));
        assert_eq!(catch(|| catch(|| -> u8 { panic!("inside") })), Ok(Err("inside".into())));
        assert_eq!(DEPTH.get(), 0);
    }
}
