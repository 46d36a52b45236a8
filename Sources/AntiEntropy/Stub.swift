enum AntiEntropyStub {}
