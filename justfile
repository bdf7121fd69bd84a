# What people type here. `just` lists it.

_list:
    @just --list --unsorted

# Run a cluster of three Grapes on this machine
run *flags:
    cargo run --release -- local {{flags}}

# Before a commit: format, lints, and the tests that take seconds
quick:
    tests/run --quick

# Run every check and every test, as root
test *flags:
    tests/run {{flags}}

# Start a Kubernetes cluster of two nodes on this machine, as root
cluster:
    tests/kubernetes/cluster up

# Stop it
cluster-down:
    tests/kubernetes/cluster down

# Write the CustomResourceDefinition anew, after a change of the GrapeCluster's types
crd:
    cargo run --locked -- crd > crds/grapeclusters.grenache.dev.yaml
    cp crds/grapeclusters.grenache.dev.yaml charts/grape-operator/files/crds/

# Measure everything, and write the figures of the docs
bench *flags:
    tests/bench/run {{flags}}
