//! A node that is off the network for a while.

use grape_tests::kubernetes::Cluster;

/// A node for as long as it is cut off.
pub(crate) struct CutOff<'a> {
    cluster: &'a Cluster,
    node: u8,
}

impl<'a> CutOff<'a> {
    pub(crate) fn begin(cluster: &'a Cluster, node: u8) -> Self {
        cluster.node_down(node).unwrap();
        Self { cluster, node }
    }
}

impl Drop for CutOff<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.cluster.node_up(self.node) {
            eprintln!("the node n{} is still cut off: {error:#}", self.node);
        }
    }
}
