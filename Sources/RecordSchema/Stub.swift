enum RecordSchemaStub {}
