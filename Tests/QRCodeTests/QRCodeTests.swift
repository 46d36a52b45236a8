import Foundation
import QRCodes
import Testing

/// Codes that another program reads: zbar.
@Suite("QR codes", .timeLimit(.minutes(10)))
struct QRCodeTests {
    private static let texts = [
        "a", "karvan enrol https://hub.example.org:8443 karvan1-hFggAAECAwQFBgcICQoLDA0ODxAREhMU",
        "Naxçıvan, Ordubad", String(repeating: "0123456789abcdef", count: 64),
    ]

    @Test(arguments: texts)
    func `the picture says what was coded`(_ text: String) throws {
        let code = try #require(QRCode(text))
        for scale in [3, 8] { #expect(try read(code.png(scale: scale)) == text) }
    }

    /// The terminal's characters, drawn as a picture: light and dark as a terminal shows them.
    @Test(arguments: texts, [true, false])
    func `what a terminal shows says it too`(_ text: String, _ isColoured: Bool) throws {
        let code = try #require(QRCode(text))
        let lines = code.lines(isColoured: isColoured).map { line in
            guard isColoured else { return Array(line) }
            #expect(line.hasPrefix("\u{1B}[30;107m") && line.hasSuffix("\u{1B}[0m"))
            return Array(line.dropFirst(9).dropLast(4))
        }
        let width = code.size + 2 * QRCode.quietZone
        #expect(lines.allSatisfy { $0.count == width } && lines.count == (width + 1) / 2)
        // Text is black on white there, else light on a dark ground.
        let (drawn, ground): (UInt8, UInt8) = isColoured ? (0, 255) : (255, 0)
        var rows: [[UInt8]] = []
        for line in lines {
            rows.append(line.map { "█▀".contains($0) ? drawn : ground })
            rows.append(line.map { "█▄".contains($0) ? drawn : ground })
        }
        let scale = 4
        var picture = Array("P5 \(width * scale) \(rows.count * scale) 255\n".utf8)
        for row in rows {
            let pixels = row.flatMap { [UInt8](repeating: $0, count: scale) }
            for _ in 0..<scale { picture += pixels }
        }
        #expect(try read(picture, as: "pgm") == text)
    }

    @Test func `no code holds more than 2,331 bytes, or nothing`() {
        #expect(QRCode("") == nil)
        #expect(QRCode(String(repeating: "é", count: 1_165))?.size == 177)
        #expect(QRCode(String(repeating: "a", count: 2_332)) == nil)
    }

    /// What zbar reads in a picture.
    private func read(_ picture: [UInt8], as kind: String = "png") throws -> String {
        let file = FileManager.default.temporaryDirectory
            .appending(path: "karvan-qr-\(UUID().uuidString).\(kind)")
        defer { try? FileManager.default.removeItem(at: file) }
        try Data(picture).write(to: file)
        let process = Process()
        process.executableURL = URL(filePath: "/usr/bin/env")
        process.arguments = [
            "timeout", "30", "zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable",
            "-Sqrcode.binary", "--oneshot", file.path,
        ]
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        process.standardInput = FileHandle.nullDevice
        try process.run()
        let said = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return String(decoding: said, as: UTF8.self).trimmingCharacters(in: .newlines)
    }
}
