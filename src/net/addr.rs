//! Addresses, and the look-up of names, which does not hold a processor while it waits.
//! Checked by: proptests/net/.
#![forbid(unsafe_code)]

use crate::sched::blocking::blocking;
use std::io::{self, ErrorKind};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6, ToSocketAddrs as StdAddrs,
};
use std::vec;

/// A value that stands for addresses: every type that implements [`std::net::ToSocketAddrs`].
///
/// A name is looked up by the system's resolver, in [`blocking`](fn@crate::blocking), so other goroutines run while
/// the calling goroutine waits. The look-up can't be cancelled. An address that is written as digits needs no
/// look-up, and never suspends.
///
/// For your own type that implements `std`'s trait, an empty `impl` of this trait is enough.
pub trait ToSocketAddrs: StdAddrs {
    /// Returns the addresses, in the order in which they must be tried.
    ///
    /// May suspend if a name must be looked up. The default implementation calls `std`'s
    /// `to_socket_addrs` on the caller's thread.
    ///
    /// # Errors
    /// Fails if the value is not an address, or if the name is not known.
    fn resolve(&self) -> io::Result<Addresses> {
        self.to_socket_addrs().map(Addresses::of)
    }
}

/// Addresses that are tried one after another; made by [`ToSocketAddrs::resolve`].
#[derive(Clone, Debug)]
pub struct Addresses(Kind);

#[derive(Clone, Debug)]
enum Kind {
    One(Option<SocketAddr>),
    Many(vec::IntoIter<SocketAddr>),
}

impl Addresses {
    /// Returns these addresses, in this order.
    pub fn of(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Addresses(Kind::Many(addresses.into_iter().collect::<Vec<_>>().into_iter()))
    }

    fn one(address: impl Into<SocketAddr>) -> io::Result<Self> {
        Ok(Addresses(Kind::One(Some(address.into()))))
    }

    /// Calls the function for each address until a call succeeds. If none succeeds, returns the last error.
    pub(super) fn try_each<T>(
        self,
        mut one: impl FnMut(SocketAddr) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut failed = None;
        for address in self {
            match one(address) {
                Ok(done) => return Ok(done),
                Err(error) => failed = Some(error),
            }
        }
        let none = || io::Error::new(ErrorKind::InvalidInput, "the name stands for no address");
        Err(failed.unwrap_or_else(none))
    }
}

impl Iterator for Addresses {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        match &mut self.0 {
            Kind::One(address) => address.take(),
            Kind::Many(addresses) => addresses.next(),
        }
    }
}

macro_rules! literal {
    ($($type:ty),*) => { $(
        impl ToSocketAddrs for $type {
            fn resolve(&self) -> io::Result<Addresses> {
                Addresses::one(*self)
            }
        }
    )* };
}

literal!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

impl ToSocketAddrs for str {
    fn resolve(&self) -> io::Result<Addresses> {
        match self.parse::<SocketAddr>() {
            Ok(address) => Addresses::one(address),
            Err(_) => blocking(|| self.to_socket_addrs().map(Addresses::of)),
        }
    }
}

impl ToSocketAddrs for String {
    fn resolve(&self) -> io::Result<Addresses> {
        self.as_str().resolve()
    }
}

impl ToSocketAddrs for (&str, u16) {
    fn resolve(&self) -> io::Result<Addresses> {
        match self.0.parse::<IpAddr>() {
            Ok(address) => Addresses::one((address, self.1)),
            Err(_) => blocking(|| self.to_socket_addrs().map(Addresses::of)),
        }
    }
}

impl ToSocketAddrs for (String, u16) {
    fn resolve(&self) -> io::Result<Addresses> {
        (self.0.as_str(), self.1).resolve()
    }
}

impl ToSocketAddrs for &[SocketAddr] {
    fn resolve(&self) -> io::Result<Addresses> {
        Ok(Addresses::of(self.iter().copied()))
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {
    fn resolve(&self) -> io::Result<Addresses> {
        (**self).resolve()
    }
}
