enum ConflictInspectionStub {}
