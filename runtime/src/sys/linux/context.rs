//! What a process has around it that its children would inherit: directory, environment, umask, user and groups.
//!
//! Responsible for taking it from the program when a pool is made, for its bytes, and for putting it on the supervisor
//! and the workers, which were started earlier, in another state of the program. Does not send it.
//!
//! Invariants: taking it changes nothing, not even for a moment (`umask(2)` can only be read by setting it). The
//! directory is held by a descriptor, not by its name, so it is the right one even if it was renamed, removed, or
//! lies in another mount namespace. Bytes from outside are bounded before they are believed.
//!
//! See path_resolution(7), environ(7), proc_pid_status(5), credentials(7), capabilities(7).
//!
//! # Safety
//!
//! The environment is changed only in a process with one thread: the supervisor.
#![expect(
    unsafe_code,
    reason = "the environment of a process is changed, its groups are read"
)]

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::ptr;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Gid, Uid, fchdir, getresgid, getresuid, setgroups, setresgid, setresuid};

use super::fd::Fd;

/// The surroundings of one moment.
#[derive(Debug)]
pub(crate) struct Context {
    /// The working directory; opened with `O_PATH`, which needs no right to read it.
    working_directory: Fd,
    /// `NAME=value`, each with a zero after it.
    environment: Vec<u8>,
    umask: u32,
    user: Ids,
    group: Ids,
    /// The supplementary groups, as the kernel orders them.
    groups: Vec<u32>,
}

/// Real, effective and saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Ids {
    real: u32,
    effective: u32,
    saved: u32,
}

impl Context {
    /// What this process has around it now.
    ///
    /// # Errors
    ///
    /// When the working directory cannot be opened or `/proc/self/status` cannot be read.
    pub(crate) fn capture() -> io::Result<Context> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let working_directory = Fd::from(openat(AT_FDCWD, ".", flags, Mode::empty())?);
        let mut environment = Vec::new();
        for (name, value) in std::env::vars_os() {
            environment.extend(name.as_bytes());
            environment.push(b'=');
            environment.extend(value.as_bytes());
            environment.push(0);
        }
        let (user, group) = own_ids()?;
        Ok(Context {
            working_directory,
            environment,
            umask: own_umask()?,
            user,
            group,
            groups: own_groups()?,
        })
    }

    /// The descriptor to send beside [`Context::to_bytes`].
    pub(crate) fn working_directory(&self) -> &Fd {
        &self.working_directory
    }

    /// Everything but the working directory.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let Context {
            working_directory: _,
            environment,
            umask,
            user,
            group,
            groups,
        } = self;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + groups.len() * 4 + environment.len());
        let n_groups = groups.len() as u32;
        let numbers = [
            *umask,
            user.real,
            user.effective,
            user.saved,
            group.real,
            group.effective,
            group.saved,
            n_groups,
        ];
        for number in numbers.iter().chain(groups) {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(environment);
        bytes
    }

    /// What [`Context::to_bytes`] wrote, and the working directory that came with it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidData`] if the bytes are not of that form.
    pub(crate) fn from_bytes(bytes: &[u8], working_directory: Fd) -> io::Result<Context> {
        let mut rest = bytes;
        let mut number = || {
            let (number, after) = rest.split_first_chunk().ok_or(io::ErrorKind::InvalidData)?;
            rest = after;
            io::Result::Ok(u32::from_le_bytes(*number))
        };
        let umask = number()?;
        let user = Ids {
            real: number()?,
            effective: number()?,
            saved: number()?,
        };
        let group = Ids {
            real: number()?,
            effective: number()?,
            saved: number()?,
        };
        let n_groups = number()?;
        let mut groups = Vec::new();
        for _ in 0..n_groups {
            // One that is not there ends this: no length is believed before its bytes are seen.
            groups.push(number()?);
        }
        if rest.last().is_some_and(|&last| last != 0) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(Context {
            working_directory,
            environment: rest.to_vec(),
            umask: umask & 0o777,
            user,
            group,
            groups,
        })
    }

    /// Puts directory, environment and umask on this process, which has one thread. The children that it forks
    /// have them then.
    ///
    /// # Errors
    ///
    /// When the directory may not be entered.
    pub(crate) fn apply_to_supervisor(&self) -> io::Result<()> {
        fchdir(self.working_directory.as_fd())?;
        self.replace_environment();
        umask(Mode::from_bits_truncate(self.umask));
        Ok(())
    }

    /// Puts user and groups on this process, for good, if it has others.
    ///
    /// Call it before `prctl(PR_SET_PDEATHSIG)`: the kernel forgets that signal when the user changes.
    ///
    /// # Errors
    ///
    /// `EPERM` when this process may not become that user: the supervisor was started with less rights.
    pub(crate) fn apply_ids_in_worker(&self) -> io::Result<()> {
        let (user, group) = own_ids()?;
        // Groups first, and the user last: afterwards the right to change the others is gone.
        if own_groups()? != self.groups {
            let groups: Vec<Gid> = self.groups.iter().copied().map(Gid::from_raw).collect();
            setgroups(&groups)?;
        }
        if group != self.group {
            let Ids {
                real,
                effective,
                saved,
            } = self.group;
            setresgid(
                Gid::from_raw(real),
                Gid::from_raw(effective),
                Gid::from_raw(saved),
            )?;
        }
        if user != self.user {
            let Ids {
                real,
                effective,
                saved,
            } = self.user;
            setresuid(
                Uid::from_raw(real),
                Uid::from_raw(effective),
                Uid::from_raw(saved),
            )?;
        }
        Ok(())
    }

    /// Sets what differs and removes what is too much, so that the C library's copies of old values, which it never
    /// frees, do not grow with each call.
    fn replace_environment(&self) {
        let mut wanted: HashMap<&OsStr, &OsStr> = self.variables().collect();
        let present: Vec<(OsString, OsString)> = std::env::vars_os().collect();
        for (name, value) in &present {
            match wanted.get(name.as_os_str()) {
                Some(wanted_value) if wanted_value == value => {
                    wanted.remove(name.as_os_str());
                }
                Some(_) => {}
                None if is_settable(name) => {
                    // SAFETY: one thread, so nobody reads the environment meanwhile.
                    unsafe { std::env::remove_var(name) };
                }
                None => {}
            }
        }
        for (name, value) in wanted {
            // SAFETY: as above.
            unsafe { std::env::set_var(name, value) };
        }
    }

    /// The variables that can be set: all but those with an empty name, which no library makes.
    fn variables(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.environment
            .split(|&byte| byte == 0)
            .filter_map(|entry| {
                let name_end = entry.iter().position(|&byte| byte == b'=')?;
                let (name, value) = (
                    OsStr::from_bytes(&entry[..name_end]),
                    OsStr::from_bytes(&entry[name_end + 1..]),
                );
                is_settable(name).then_some((name, value))
            })
    }
}

/// umask, three users, three groups, and how many more groups.
const HEAD_BYTES: usize = 8 * 4;

/// What the C library takes; `std` panics at anything else.
fn is_settable(name: &OsStr) -> bool {
    !name.is_empty() && !name.as_bytes().contains(&b'=')
}

fn own_ids() -> io::Result<(Ids, Ids)> {
    let (user, group) = (getresuid()?, getresgid()?);
    Ok((
        Ids {
            real: user.real.as_raw(),
            effective: user.effective.as_raw(),
            saved: user.saved.as_raw(),
        },
        Ids {
            real: group.real.as_raw(),
            effective: group.effective.as_raw(),
            saved: group.saved.as_raw(),
        },
    ))
}

fn own_groups() -> io::Result<Vec<u32>> {
    // Not nix's, which reads the largest number from a file first.
    // SAFETY: with no room named, the kernel only counts.
    let n_groups = Errno::result(unsafe { libc::getgroups(0, ptr::null_mut()) })?;
    let mut groups = vec![0; n_groups.unsigned_abs() as usize];
    if n_groups > 0 {
        // SAFETY: there is room for as many as are named.
        let n_groups = Errno::result(unsafe { libc::getgroups(n_groups, groups.as_mut_ptr()) })?;
        groups.truncate(n_groups.unsigned_abs() as usize);
    }
    Ok(groups)
}

/// The umask, without setting it: another thread could be making a file.
fn own_umask() -> io::Result<u32> {
    let status = std::fs::read("/proc/thread-self/status")?;
    umask_in(&status).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "no Umask in /proc/thread-self/status",
        )
    })
}

fn umask_in(status: &[u8]) -> Option<u32> {
    // The second line, after the name, in which the kernel writes a newline as `\n`.
    let line = status
        .split(|&byte| byte == b'\n')
        .find_map(|line| line.strip_prefix(b"Umask:"))?;
    u32::from_str_radix(str::from_utf8(line).ok()?.trim(), 8).ok()
}

#[cfg(test)]
mod tests;
