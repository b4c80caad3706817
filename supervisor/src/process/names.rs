//! Gives every name of a configuration its id in the region: routes, services, roles, permissions.

use edge_worker::config::{NameTable, WorkerSettings};
use edge_worker::identity::roles::vocabulary;
use shm::names::{NameFault, NameId, NameKind, Names};
use shm::{AuthorityWriter, SupervisorRegion};

/// Fills `settings.names`. A name that the region knows already keeps its id, so that generations with
/// different configurations read each other's series and tokens alike.
pub fn intern(region: &SupervisorRegion, settings: &mut WorkerSettings) -> Result<(), NameFault> {
    let register = Register { names: &region.authority().names, writer: region.writer() };
    let routes = settings.routes.iter().map(|row| row.template.as_str());
    let services = settings.services.iter().map(|service| service.name.as_str());
    let (roles, permissions) = vocabulary(&settings.routes);
    settings.names = NameTable {
        routes: register.ids(NameKind::Route, routes)?,
        services: register.ids(NameKind::Service, services)?,
        permissions: register.pairs(NameKind::Permission, permissions)?,
        roles: register.pairs(NameKind::Role, roles)?,
    };
    Ok(())
}

struct Register<'a> {
    names: &'a Names,
    writer: &'a AuthorityWriter,
}

impl Register<'_> {
    fn id(&self, kind: NameKind, text: &str) -> Result<u16, NameFault> {
        self.names.intern(self.writer, kind, text).map(NameId::number)
    }

    fn ids<'t>(&self, kind: NameKind, texts: impl Iterator<Item = &'t str>) -> Result<Vec<u16>, NameFault> {
        texts.map(|text| self.id(kind, text)).collect()
    }

    fn pairs(&self, kind: NameKind, texts: Vec<String>) -> Result<Vec<(String, u16)>, NameFault> {
        texts.into_iter().map(|text| self.id(kind, &text).map(|id| (text, id))).collect()
    }
}
