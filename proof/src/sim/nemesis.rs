//! The one that injects faults, and stops.

use std::sync::Arc;

use super::World;
use super::disk::Crash;
use super::tick::{draw, pause};
use crate::history::What;

/// Injects faults of the kinds that this seed has, until it is time to stop.
pub(super) async fn inject(world: Arc<World>) {
    // Not all of them in every run: some bugs show only where another fault does not come first.
    let kinds: Vec<u32> = draw(|random| (0..7).filter(|_| random.bool()).collect());
    while world.began.elapsed() < world.size.faulty {
        pause(50, 1_500).await;
        let kind = draw(|random| random.choice(kinds.iter().copied()));
        if let Some(kind) = kind {
            one(&world, kind).await;
        }
    }
    world.disk.heal();
    world.say(What::Calm);
    world.calm.send_replace(true);
}

async fn one(world: &Arc<World>, kind: u32) {
    match kind {
        0 => end(world, Crash::Kill, "kill -9"),
        1 => end(world, Crash::PowerLoss, "power lost"),
        2 => {
            say(world, "no space left");
            {
                let mut state = world.disk.lock();
                state.is_full = true;
                state.was_full = true;
            }
            pause(100, 2_000).await;
            world.disk.lock().is_full = false;
        }
        3 => {
            say(world, "a write fails");
            world.disk.lock().fail_write = true;
        }
        4 => {
            say(world, "a sync fails");
            world.disk.lock().fail_sync = true;
            // What a failed sync left is at the mercy of the power.
            if draw(|random| random.bool()) {
                pause(100, 1_500).await;
                end(world, Crash::PowerLoss, "power lost");
            }
        }
        5 => {
            say(world, "the disk is slow");
            world.disk.lock().slow_ms = 700;
            pause(200, 2_000).await;
            world.disk.lock().slow_ms = 8;
        }
        _ => {
            say(world, "reads fail");
            world.disk.lock().failing_reads = draw(|random| random.u32(20..400));
            if world.size.jump_ms != 0 {
                say(world, "the clock jumps");
                world.clock.jump(world.size.jump_ms);
            }
            pause(200, 2_000).await;
            world.disk.lock().failing_reads = 0;
        }
    }
}

fn say(world: &World, what: &str) {
    world.say(What::Fault { what: what.into() });
}

fn end(world: &World, crash: Crash, what: &str) {
    let node = world.node.borrow().clone();
    if let Some(node) = node {
        say(world, what);
        node.end(crash);
    }
}
