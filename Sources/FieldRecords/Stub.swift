enum FieldRecordsStub {}
