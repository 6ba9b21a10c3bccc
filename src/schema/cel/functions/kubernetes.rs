//! The libraries of Kubernetes: URLs, addresses, quantities, versions, formats, the authorizer, JSON patches.

use std::net::IpAddr;
use std::sync::Arc;

use super::super::error::Fault;
use super::super::eval::text;
use super::super::formats;
use super::super::native::{Cidr, Semver, parse_ip};
use super::super::plan::Invocation;
use super::super::value::{Result, Text, Val};
use super::Row;
use crate::model::quantity::Quantity;
use crate::model::url::Url;

pub const ROWS: &[Row] = &[
    ("url", url),
    ("isURL", is_read),
    ("getScheme", url_part),
    ("getHost", url_part),
    ("getHostname", url_part),
    ("getPort", url_part),
    ("getEscapedPath", url_part),
    ("getQuery", url_part),
    ("ip", ip),
    ("isIP", is_read),
    ("ip.isCanonical", is_canonical),
    ("family", ip_fact),
    ("isUnspecified", ip_fact),
    ("isLoopback", ip_fact),
    ("isLinkLocalMulticast", ip_fact),
    ("isLinkLocalUnicast", ip_fact),
    ("isGlobalUnicast", ip_fact),
    ("cidr", cidr),
    ("isCIDR", is_read),
    ("containsIP", contains),
    ("containsCIDR", contains),
    ("prefixLength", cidr_fact),
    ("masked", cidr_fact),
    ("quantity", quantity),
    ("isQuantity", is_read),
    ("sign", quantity_fact),
    ("isInteger", quantity_fact),
    ("asInteger", quantity_fact),
    ("asApproximateFloat", quantity_fact),
    ("add", quantity_sum),
    ("sub", quantity_sum),
    ("isGreaterThan", compare),
    ("isLessThan", compare),
    ("compareTo", compare),
    ("semver", semver),
    ("isSemver", semver),
    ("major", semver_fact),
    ("minor", semver_fact),
    ("patch", semver_fact),
    ("format.named", named_format),
    ("format.byte", format),
    ("format.date", format),
    ("format.datetime", format),
    ("format.dns1035Label", format),
    ("format.dns1035LabelPrefix", format),
    ("format.dns1123Label", format),
    ("format.dns1123LabelPrefix", format),
    ("format.dns1123Subdomain", format),
    ("format.dns1123SubdomainPrefix", format),
    ("format.labelValue", format),
    ("format.qualifiedName", format),
    ("format.uri", format),
    ("format.uuid", format),
    ("validate", validate),
    ("path", authority),
    ("group", authority),
    ("serviceAccount", authority),
    ("resource", authority),
    ("subresource", authority),
    ("namespace", authority),
    ("name", authority),
    ("fieldSelector", authority),
    ("labelSelector", authority),
    ("check", authority),
    ("allowed", authority),
    ("errored", authority),
    ("error", authority),
    ("reason", authority),
    ("jsonpatch.escapeKey", escape_key),
];

fn one<'v>(args: &'v [Val<'_>]) -> Result<&'v str> {
    match args {
        [value] => text(value),
        _ => Err(Fault::overload()),
    }
}

/// Whether a text is what its function asks.
fn is_read<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let text = one(args)?;
    Ok(Val::Bool(match call.function {
        "isURL" => Url::parse_request(text).is_ok(),
        "isIP" => parse_ip(text).is_ok(),
        "isCIDR" => Cidr::parse(text).is_ok(),
        _ => Quantity::parse(text).is_ok(),
    }))
}

fn url<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let text = one(args)?;
    let wrong = |error: String| Fault::new(format!("URL parse error during conversion from string: {error}"));
    Url::parse_request(text).map_err(wrong)?;
    Url::parse(text).map(|url| Val::Url(Arc::new(url))).map_err(wrong)
}

fn url_part<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [Val::Url(url)] = args else { return Err(Fault::overload()) };
    Ok(match call.function {
        "getScheme" => Val::text(&*url.scheme),
        "getHost" => Val::text(&*url.host),
        "getHostname" => Val::text(url.hostname()),
        "getPort" => Val::text(url.port()),
        "getEscapedPath" => Val::text(url.escaped_path()),
        _ => {
            let texts = |values: Vec<String>| Val::list(values.into_iter().map(Val::text));
            let entries = url.query_values().into_iter().map(|(name, values)| (Val::text(name), texts(values)));
            Val::Map(Arc::new(entries.collect()))
        }
    })
}

fn ip<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    match args {
        [Val::Cidr(cidr)] => Ok(Val::Ip(cidr.address)),
        _ => parse_ip(one(args)?).map(Val::Ip).map_err(Fault::new),
    }
}

fn is_canonical<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let text = one(args)?;
    let ip = parse_ip(text).map_err(Fault::new)?;
    Ok(Val::Bool(ip.to_string() == text))
}

fn ip_fact<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [Val::Ip(ip)] = args else { return Err(Fault::overload()) };
    let link_local = match ip {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    let link_multicast = match ip {
        IpAddr::V4(v4) => v4.octets()[..3] == [224, 0, 0],
        IpAddr::V6(v6) => v6.segments()[0] & 0xff0f == 0xff02,
    };
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast());
    Ok(match call.function {
        "family" => Val::Int(if ip.is_ipv4() { 4 } else { 6 }),
        "isUnspecified" => Val::Bool(ip.is_unspecified()),
        "isLoopback" => Val::Bool(ip.is_loopback()),
        "isLinkLocalMulticast" => Val::Bool(link_multicast),
        "isLinkLocalUnicast" => Val::Bool(link_local),
        _ => Val::Bool(!(broadcast || ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() || link_local)),
    })
}

fn unread_net(error: String) -> Fault {
    Fault::new(format!("network address parse error during conversion from string: {error}"))
}

fn cidr<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    Cidr::parse(one(args)?).map(Val::Cidr).map_err(unread_net)
}

fn contains<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [Val::Cidr(net), other] = args else { return Err(Fault::overload()) };
    Ok(Val::Bool(match (call.function, other) {
        ("containsIP", Val::Ip(ip)) => net.contains(*ip),
        ("containsIP", Val::String(text)) => net.contains(parse_ip(text).map_err(Fault::new)?),
        ("containsCIDR", Val::Cidr(other)) => net.contains_net(*other),
        ("containsCIDR", Val::String(text)) => net.contains_net(Cidr::parse(text).map_err(unread_net)?),
        _ => return Err(Fault::overload()),
    }))
}

fn cidr_fact<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [Val::Cidr(net)] = args else { return Err(Fault::overload()) };
    Ok(if call.function == "masked" { Val::Cidr(net.masked()) } else { Val::Int(net.bits.into()) })
}

fn quantity<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let parsed = Quantity::parse(one(args)?);
    parsed.map(|quantity| Val::Quantity(Arc::new(quantity))).map_err(|error| Fault::new(error.to_string()))
}

/// The whole number that it is, if it is one.
fn whole(quantity: &Quantity) -> Option<i64> {
    let number = quantity.value();
    (of_int(number) == *quantity).then_some(number)
}

fn of_int(number: i64) -> Quantity {
    Quantity::parse(&number.to_string()).expect("every whole number is a quantity")
}

fn quantity_fact<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [Val::Quantity(quantity)] = args else { return Err(Fault::overload()) };
    Ok(match call.function {
        "sign" => Val::Int(quantity.sign().into()),
        "isInteger" => Val::Bool(whole(quantity).is_some()),
        "asInteger" => Val::Int(whole(quantity).ok_or_else(|| Fault::new("cannot convert value to integer"))?),
        _ => Val::Double(quantity.to_f64()),
    })
}

fn quantity_sum<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let other = match args {
        [_, Val::Quantity(other)] => (**other).clone(),
        [_, Val::Int(number)] => of_int(*number),
        _ => return Err(Fault::overload()),
    };
    let [Val::Quantity(quantity), _] = args else { return Err(Fault::overload()) };
    let mut sum = (**quantity).clone();
    if call.function == "add" {
        sum.add(&other)
    } else {
        sum.sub(&other)
    }
    Ok(Val::Quantity(Arc::new(sum)))
}

/// Of quantities and of versions.
fn compare<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let order = match args {
        [Val::Quantity(a), Val::Quantity(b)] => a.cmp(b),
        [Val::Semver(a), Val::Semver(b)] => a.cmp(b),
        _ => return Err(Fault::overload()),
    };
    Ok(match call.function {
        "isGreaterThan" => Val::Bool(order.is_gt()),
        "isLessThan" => Val::Bool(order.is_lt()),
        _ => Val::Int(order as i64),
    })
}

fn semver<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let (value, tolerant) = match args {
        [value] => (text(value)?, false),
        [value, Val::Bool(tolerant)] => (text(value)?, *tolerant),
        _ => return Err(Fault::overload()),
    };
    let parsed = if tolerant { Semver::parse_tolerant(value) } else { Semver::parse(value) };
    match (call.function, parsed) {
        ("isSemver", parsed) => Ok(Val::Bool(parsed.is_ok())),
        (_, Ok(version)) => Ok(Val::Semver(Arc::new(version))),
        (_, Err(error)) => Err(Fault::new(error)),
    }
}

fn semver_fact<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [Val::Semver(version)] = args else { return Err(Fault::overload()) };
    let number = match call.function {
        "major" => version.major,
        "minor" => version.minor,
        _ => version.patch,
    };
    Ok(Val::Int(number as i64))
}

fn format<'a>(call: &Invocation, _: &[Val<'a>]) -> Result<Val<'a>> {
    let name = call.function.strip_prefix("format.").unwrap_or_default();
    formats::named(name).map(Val::Format).ok_or_else(Fault::overload)
}

fn named_format<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let found = formats::named(one(args)?);
    Ok(found.map_or(Val::none(), |format| Val::some(Val::Format(format))))
}

fn validate<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [Val::Format(format), value] = args else { return Err(Fault::overload()) };
    let texts = (format.check)(text(value)?);
    if texts.is_empty() {
        return Ok(Val::none());
    }
    Ok(Val::some(Val::list(texts.into_iter().map(Val::text))))
}

fn authority<'a>(call: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    let [Val::Authority(authority), rest @ ..] = args else { return Err(Fault::overload()) };
    let texts = rest.iter().map(|arg| match arg {
        Val::String(text) => Ok(text.clone()),
        _ => Err(Fault::overload()),
    });
    let texts: Vec<Text<'a>> = texts.collect::<Result<_>>()?;
    authority.step(call.function, &texts)
}

/// In one pass: what a replacement brings in is not replaced again.
fn escape_key<'a>(_: &Invocation, args: &[Val<'a>]) -> Result<Val<'a>> {
    Ok(Val::text(one(args)?.replace('~', "~0").replace('/', "~1")))
}
