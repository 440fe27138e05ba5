// SPDX-License-Identifier: GPL-2.0-or-later
//! Writes the seed corpora for libFuzzer: one folder for each target, one file for each seed.

mod seeds;

fn main() -> std::io::Result<()> {
    let Some(folder) = std::env::args_os().nth(1) else {
        eprintln!("usage: fuzz-seeds FOLDER");
        std::process::exit(2);
    };
    for target in seeds::TARGETS {
        let folder = std::path::Path::new(&folder).join(target);
        std::fs::create_dir_all(&folder)?;
        for (number, seed) in seeds::seeds(target).iter().enumerate() {
            std::fs::write(folder.join(format!("seed-{number:04}")), seed)?;
        }
    }
    Ok(())
}
