pub(crate) struct Part;
impl Part { pub(crate) fn up(&self){} pub(crate) fn down(&self, _: &str){} }
impl std::fmt::Debug for Part { fn fmt(&self, f:&mut std::fmt::Formatter<'_>)->std::fmt::Result{ f.write_str("Part") } }
