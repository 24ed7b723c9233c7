//! Which files a manifest means.

use std::fs;
use std::path::{Component as PathPart, Path, PathBuf};

use super::{Mount, pattern};
use crate::AppError;
use crate::names::quoted;

/// How many folder entries the patterns of a component may look at: `**` from the wrong folder
/// ends here.
const ENTRIES_MAX: usize = 100_000;
/// How deep below the application's folder files may be.
const DEPTH_MAX: usize = 64;

/// Where a file goes, and whether it was named rather than found.
pub(super) struct Destination {
    pub path: String,
    pub named: bool,
}

/// Looks for files below the folder of the application.
pub(super) struct Walk {
    /// The folder, without links in its path.
    root: PathBuf,
    /// For errors.
    at: String,
    entries: usize,
}

impl Walk {
    /// Begins in `root`, the folder of the application; `at` names the field for errors.
    pub fn new(root: &Path, at: &str) -> Result<Walk, AppError> {
        let root = root.canonicalize().map_err(|source| AppError::Read {
            at: at.to_owned(),
            path: root.to_owned(),
            source,
        })?;
        Ok(Walk {
            root,
            at: at.to_owned(),
            entries: 0,
        })
    }

    /// The path of a file below the folder, for patterns.
    pub fn relative<'p>(&self, file: &'p Path) -> &'p Path {
        file.strip_prefix(&self.root).unwrap_or(file)
    }

    /// The files that a mount brings in, by path, and where each goes.
    ///
    /// Fails for a mount without files, and for one that leads out of the folder.
    pub fn mounted(&mut self, mount: &Mount) -> Result<Vec<(PathBuf, Destination)>, AppError> {
        let (source, destination) = match mount {
            Mount::Pattern(pattern) => (pattern, None),
            Mount::Placed {
                source,
                destination,
            } => (source, Some(destination.as_str())),
        };
        let parts = self.parts(source)?;
        let path: PathBuf = [self.root.as_path()]
            .into_iter()
            .chain(parts.iter().map(Path::new))
            .collect();
        let mut found = Vec::new();
        let base = if path.exists() {
            self.inside(&path)?;
            if !path.is_dir() {
                let path_inside = destination.map_or_else(|| parts.join("/"), str::to_owned);
                return Ok(vec![(
                    path,
                    Destination {
                        path: path_inside,
                        named: true,
                    },
                )]);
            }
            if parts.is_empty() && destination.is_none() {
                return Err(self.invalid(source, "is the whole folder; write `**/*` to include it"));
            }
            self.below(&path, &mut found, 0)?;
            if destination.is_some() {
                path.clone()
            } else {
                self.root.clone()
            }
        } else if destination.is_none() && is_pattern(source) {
            let root = self.root.clone();
            self.expand(&root, &parts, &mut found, 0)?;
            if found.is_empty() {
                return Err(self.invalid(source, "matches no file"));
            }
            root
        } else {
            return Err(self.invalid(source, "does not exist"));
        };
        found.sort();
        found.dedup();
        let mut placed = Vec::with_capacity(found.len());
        for file in found {
            let inside = file.strip_prefix(&base).unwrap_or(&file);
            let Some(inside) = inside.to_str() else {
                return Err(self.invalid(&file.to_string_lossy(), "is not a name in UTF-8"));
            };
            let path = format!("{}/{inside}", destination.unwrap_or(""));
            placed.push((file, Destination { path, named: false }));
        }
        Ok(placed)
    }

    fn invalid(&self, what: &str, words: &str) -> AppError {
        AppError::invalid(&self.at, format!("{} {words}", quoted(what)))
    }

    /// The parts of a path below the folder of the application.
    fn parts<'p>(&self, path: &'p str) -> Result<Vec<&'p str>, AppError> {
        let mut parts = Vec::new();
        for part in Path::new(path).components() {
            match part {
                PathPart::CurDir => {}
                PathPart::Normal(part) => parts.extend(part.to_str()),
                PathPart::ParentDir | PathPart::RootDir | PathPart::Prefix(_) => {
                    return Err(self.invalid(
                        path,
                        "is outside of the application's folder; copy the files into it",
                    ));
                }
            }
        }
        if parts.len() > DEPTH_MAX {
            return Err(self.invalid(path, "is too deep"));
        }
        Ok(parts)
    }

    /// Fails when a link leads out of the folder of the application.
    fn inside(&self, path: &Path) -> Result<(), AppError> {
        let real = path.canonicalize().map_err(|source| AppError::Read {
            at: self.at.clone(),
            path: path.to_owned(),
            source,
        })?;
        if real.starts_with(&self.root) {
            return Ok(());
        }
        Err(self.invalid(
            &path.display().to_string(),
            "is a link out of the application's folder; copy what it leads to",
        ))
    }

    /// The entries of a folder, by name.
    fn entries(&mut self, folder: &Path) -> Result<Vec<PathBuf>, AppError> {
        let failed = |source| AppError::Read {
            at: self.at.clone(),
            path: folder.to_owned(),
            source,
        };
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            self.entries += 1;
            if self.entries > ENTRIES_MAX {
                return Err(AppError::invalid(
                    &self.at,
                    format!("looks at more than {ENTRIES_MAX} files; write a narrower pattern"),
                ));
            }
            paths.push(entry.map_err(failed)?.path());
        }
        paths.sort();
        Ok(paths)
    }

    /// All files below a folder.
    fn below(
        &mut self,
        folder: &Path,
        found: &mut Vec<PathBuf>,
        depth: usize,
    ) -> Result<(), AppError> {
        if depth > DEPTH_MAX {
            return Err(self.invalid(&folder.display().to_string(), "is too deep"));
        }
        for path in self.entries(folder)? {
            self.inside(&path)?;
            if path.is_symlink() && path.is_dir() {
                return Err(self.invalid(
                    &path.display().to_string(),
                    "is a link to a folder; include the folder itself",
                ));
            }
            if path.is_dir() {
                self.below(&path, found, depth + 1)?;
            } else if path.is_file() {
                found.push(path);
            } else {
                return Err(self.invalid(
                    &path.display().to_string(),
                    "is neither a file nor a folder; leave it out",
                ));
            }
        }
        Ok(())
    }

    /// The files that a pattern means, part by part.
    fn expand(
        &mut self,
        folder: &Path,
        parts: &[&str],
        found: &mut Vec<PathBuf>,
        depth: usize,
    ) -> Result<(), AppError> {
        if depth > DEPTH_MAX {
            return Err(self.invalid(&folder.display().to_string(), "is too deep"));
        }
        let Some((part, rest)) = parts.split_first() else {
            return Ok(());
        };
        if *part == "**" {
            // `**` at the end means the files below, not only the folders as a shell has it.
            let (rest, again) = if rest.is_empty() {
                (&["*"][..], parts)
            } else {
                (rest, parts)
            };
            self.expand(folder, rest, found, depth + 1)?;
            for path in self.entries(folder)? {
                if path.is_dir() && !path.is_symlink() {
                    self.expand(&path, again, found, depth + 1)?;
                }
            }
            return Ok(());
        }
        let matching = pattern(part).map_err(|problem| problem.at(&self.at))?;
        for path in self.entries(folder)? {
            let name = path.file_name().map(|name| name.to_string_lossy());
            if !name.is_some_and(|name| matching.matches(&name)) {
                continue;
            }
            let is_last = rest.is_empty();
            if path.is_dir() && !is_last {
                self.inside(&path)?;
                self.expand(&path, rest, found, depth + 1)?;
            } else if path.is_file() && is_last {
                self.inside(&path)?;
                found.push(path);
            }
        }
        Ok(())
    }
}

fn is_pattern(text: &str) -> bool {
    text.contains(['*', '?', '['])
}
