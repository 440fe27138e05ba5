// SPDX-License-Identifier: GPL-2.0-or-later
//! What administrators do with a cluster and what happens to it, as a table of cases times
//! settings: how many sites and arbitrators, whose programs, which weather. Needs root, a switch
//! (TAP devices) and, but for the settings with ours alone, the reference.
//!
//! Each case is judged in three ways (`judge.rs`): by the CIBs, by `list` of every member, and
//! by what the resource agent of every member would see.
//!
//! With `BOOTH_UNDER_TEST=theirs` the settings with ours alone are those of the reference alone:
//! what a case expects is what it does too, but for what `reference.rs` says.

mod cases;
mod judge;
mod play;
mod reference;
mod setting;

use play::Play;
use setting::{Foul, Setting, Shape, Whose};
use std::panic::{catch_unwind, AssertUnwindSafe};

/// Every case, in one setting.
macro_rules! column {
    ($setting:ident: $shape:ident, $whose:expr, $foul:ident) => {
        column!($setting: $shape, $whose, $foul; granting {
            grant, held_for_long, grant_with_a_site_down, grant_without_arbitrators,
            grant_asked_elsewhere, revoke,
        } restarts {
            holder_restarts, holder_restarts_without_the_ticket_in_its_cib,
            follower_restarts, follower_restarts_without_the_ticket_in_its_cib,
            slow_start_one_by_one, all_restart_at_once, all_but_one_restart_at_once, reload,
        } losses {
            fail_over, site_lost_and_back, holder_cut_off, holder_cut_off_for_a_lease,
            follower_cut_off, arbitrators_cut_off, two_halves,
        } conditions {
            external_program_succeeds, external_program_fails,
            attribute_condition_is_met, attribute_condition_is_not_met,
        } manual {
            manual_ticket,
        });
    };
    ($setting:ident: $shape:ident, $whose:expr, $foul:ident;
        $($group:ident { $($case:ident),* $(,)? })*) => {
        mod $setting {
            use super::*;
            const SETTING: Setting = Setting {
                shape: Shape::$shape,
                whose: $whose,
                foul: Foul::$foul,
            };
            $($(
                #[test]
                fn $case() {
                    Play::perform(
                        booth_harness::test_name!(),
                        stringify!($case),
                        SETTING,
                        cases::$group::$case,
                    );
                }
            )*)*
        }
    };
}

column!(ours: TwoAndOne, Whose::Ours, None);
column!(ours_five: ThreeAndTwo, Whose::Ours, None);
column!(ours_at_the_holder: TwoAndOne, Whose::OursAt(0), None);
column!(ours_but_a_follower: TwoAndOne, Whose::TheirsAt(1), None);
column!(ours_but_the_holder_five: ThreeAndTwo, Whose::TheirsAt(0), None);
column!(ours_with_loss: TwoAndOne, Whose::Ours, Loss);
column!(ours_with_delay_five: ThreeAndTwo, Whose::Ours, Delay);
column!(ours_but_the_arbitrator_with_duplicates: TwoAndOne, Whose::TheirsAt(2), Duplicates);
column!(ours_at_a_follower_five_with_reordering: ThreeAndTwo, Whose::OursAt(1), Reordering);

/// The judge: a short moment with two holders is enough.
#[test]
fn a_second_holder_is_noticed_although_all_is_well_at_the_end() {
    const SETTING: Setting =
        Setting { shape: Shape::TwoAndOne, whose: Whose::Ours, foul: Foul::None };
    Play::perform(booth_harness::test_name!(), "judge", SETTING, |stage| {
        let play = stage.granted("");
        play.crm_ticket(1, &["-t", "t1", "-g", "--force"]);
        play.crm_ticket(1, &["-t", "t1", "-r", "--force"]);
        play.settle(Some(0));
        let verdict = AssertUnwindSafe(|| play.ends_with(Some(0)));
        let said = catch_unwind(verdict).expect_err("nobody noticed");
        let said = said.downcast_ref::<String>().expect("a text");
        assert!(said.starts_with("granted at two sites"), "{said}");
    });
}
