mod cluster_lifetime;
mod grapes_in_pods;
mod pods;
mod traces;
