enum ReplicaStoreStub {}
