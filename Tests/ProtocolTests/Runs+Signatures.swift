import Causality
import SyncProtocol

/// Signatures that implementations of Ed25519 take or refuse as they like. The answers are by the
/// equation of the protocol's text; keys, R and s were made by integer arithmetic.
enum SignatureVectors {
    private static let message = "d477c2d33879cde174d8daec0b8f8c075b93a47ec4ae5be703fa1d8502094b43"
    /// The key of the seed 00, 01, …, 1f.
    private static let key = "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"
    private static let mixedKey = "b502ff3d92e31d8190b4aa4ea0414005167fad089c4de9dac8a2fc850fed4f58"
    /// r·B of one r.
    private static let point = "b31b20f50426242514d81b383548bd90de72fd0b8cf2382a88f9f52ce5076b23"

    static func vectors() throws -> [Vector] {
        try cases.map { name, key, r, s, isValid in
            try Vector(
                "a signature \(name)",
                given: [
                    "publicKey": .string(key), "message": .string(message),
                    "signature": .string(r + s),
                ],
                when: "verify", expect: ["valid": .bool(isValid)], by: .runs)
        }
    }

    private static let cases: [(String, String, String, String, Bool)] = [
        (
            "as it is made", key,
            point,
            "267c3cfb0833714eaacd426bf4515c23dfab2941a479a02d05fd2a3713d0fa03", true
        ),
        (
            "with s + L for s", key,
            point,
            "13503258239683a6806a3a0ed34b3b38dfab2941a479a02d05fd2a3713d0fa13", false
        ),
        (
            "with a flipped bit of s", key,
            point,
            "267c3cfb0833714eaacd426bf4515c23dfab2941a479a02d05fd2a3713d0fa02", false
        ),
        (
            "whose R has a part of order 8", key,
            "186ed2bdbd1a36f6437c5168b0221914018ea4f32a1c3fcd1c1794d64fbd596e",
            "1bad6640185b34afb0788d4362f2c066858eb109fcc6f60cef36fac0a105f607", false
        ),
        (
            "by a key with a part of order 8, h divisible by 8", mixedKey,
            "4f989b6288cdb0e091d2882cf1893bb11fc40aa40b7cfd09a17a8f1db497f1e6",
            "1a1a81584397648ff77c626e4d7040fc7f96d8dd1807ae44354fc653bc924f06", true
        ),
        (
            "by a key with a part of order 8, h not divisible by 8", mixedKey,
            "1f2a0fb9f5c066cf80acb7dcb1992493f5decbeaca68514b0e1f0a0dd0590d19",
            "51de86d46b1fca73c62d6f3e789afdbef657a676896dc6f98f6fac2e11a41a0d", false
        ),
        (
            "whose R is the neutral point", key,
            "0100000000000000000000000000000000000000000000000000000000000000",
            "bae6c3921f8e8f7a5eb2bf9e894b8fc47ec9bb380288e6507593040d7eb7c80e", true
        ),
        (
            "whose R is the neutral point, as p + 1", key,
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "62d1cc031a2efcbc46cda64adee3879f9ae54a5ef36eaf35dd2146d160c6b801", false
        ),
        (
            "whose R is the neutral point, with a sign", key,
            "0100000000000000000000000000000000000000000000000000000000000080",
            "3968ca03b29db272017faedcc473a6b30394ea61f9cf56025aca9bf4224d8904", false
        ),
        (
            "by the neutral point",
            "0100000000000000000000000000000000000000000000000000000000000000",
            point,
            "e878dca548664051e5e695d8c157b538a506f9a3dd9f0e9cfed7f4de62238207", true
        ),
        (
            "by the neutral point, as p + 1",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            point,
            "e878dca548664051e5e695d8c157b538a506f9a3dd9f0e9cfed7f4de62238207", true
        ),
        (
            "by the neutral point, with a sign",
            "0100000000000000000000000000000000000000000000000000000000000080",
            point,
            "e878dca548664051e5e695d8c157b538a506f9a3dd9f0e9cfed7f4de62238207", true
        ),
        (
            "by the neutral point, as p + 1 with a sign",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
            point,
            "e878dca548664051e5e695d8c157b538a506f9a3dd9f0e9cfed7f4de62238207", true
        ),
        (
            "by a key that is no point",
            "0200000000000000000000000000000000000000000000000000000000000000",
            point,
            "267c3cfb0833714eaacd426bf4515c23dfab2941a479a02d05fd2a3713d0fa03", false
        ),
        (
            "by a key of 31 bytes",
            "03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531",
            point,
            "267c3cfb0833714eaacd426bf4515c23dfab2941a479a02d05fd2a3713d0fa03", false
        ),
    ]
}
