enum CurlTransportStub {}
