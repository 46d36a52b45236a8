internal import AntiEntropy
internal import CurlTransport
internal import Foundation
internal import ProgramOutput
internal import ReplicaStore
internal import ReplicaSync
internal import ServiceDiscovery
internal import SyncProtocol

extension Sync {
    // MARK: One laptop

    func visit(_ address: String, _ replica: Replica) throws {
        let report = try meet(Self.peerURL(address), replica)
        if let failure = report.failure { throw failure }
        try common.print(report.text, report.json)
    }

    private func meet(_ url: String, _ replica: Replica) throws -> PeerReport {
        let exchange = PeerExchange(replica)
        try exchange.checkIsMember()
        let peer = try CurlPeer(
            url: url, identity: try replica.key(), limits: limits,
            cancellation: StopSignal.cancellation
        ) { try exchange.check($0) }
        // Whoever is to be forgotten is, whatever else came of this.
        defer { _ = try? replica.emptyFreePages() }
        let visit = try exchange.visit(peer.statement, over: peer) { !StopSignal.isStopped }
        let moved = try movePhotos(replica, with: visit.peer, over: peer)
        return PeerReport(
            visit: visit, photos: moved, statistics: peer.statistics,
            pending: try replica.pending().count,
            unsentPhotoCount: try replica.blobStanding().unsent.count)
    }

    /// Gives a laptop nearby photos, and fetches its own where that is asked for.
    ///
    /// - Returns: `nil` where none are to go.
    private func movePhotos(
        _ replica: Replica, with peer: BundleRecipient, over port: CurlPeer
    ) throws -> PeerPhotos? {
        guard photos != .none else { return nil }
        let line = SyncProgressLine(replica.environment, isQuiet: common.json)
        let driver = BlobDriver(
            port: PeerBlobs(replica, with: peer, offering: photos.bundled), hub: port,
            hubName: peer.name, goesOn: { !StopSignal.isStopped }, observe: line.moved)
        let (outcome, progress) = try driver.run(photos == .all ? .sendAndFetch : .send)
        line.end()
        return PeerPhotos(outcome: outcome, progress: progress, peer: peer.name)
    }

    /// What people type, with what goes without saying.
    private static func peerURL(_ address: String) -> String {
        let scheme = "https://"
        guard address.hasPrefix(scheme) || !address.contains("://") else { return address }
        let rest = address.hasPrefix(scheme) ? address.dropFirst(scheme.count) : address[...]
        let host = rest.prefix { $0 != "/" }
        let end = host.lastIndex(of: "]") ?? host.startIndex
        let port = host[end...].contains(":") ? "" : ":\(CurlPeer.port)"
        return scheme + host + port + rest.dropFirst(host.count)
    }

    // MARK: All that are found

    /// One after the other; whom one brought something after they were met are met once more, so that in the end
    /// all hold the same.
    func visitAll(_ replica: Replica) throws {
        let own = try PeerExchange(replica).advertisement()
        let found = try find(replica, own)
        var report = NearbyReport(otherForumCount: found.otherForumCount)
        guard !found.services.isEmpty, !StopSignal.isStopped else {
            throw CommandFailure(
                StopSignal.isStopped ? .stopped : .unreachable, report.nobody,
                facts: [("other_forums", .integer(Int64(found.otherForumCount)))])
        }
        let questions = NearbyQuestions(found.services, timeout: timeout)
        var met: [NearbyQuestions.Answer] = []
        var lastNews = 0
        for answer in questions.ask() where !StopSignal.isStopped {
            guard let visit = try meet(answer, replica, &report) else { continue }
            if visit.hasNews { lastNews = met.count }
            met.append(answer)
        }
        for answer in met.prefix(lastNews) where !StopSignal.isStopped {
            _ = try meet(answer, replica, &report)
        }
        if let failure = report.failure(isStopped: StopSignal.isStopped) { throw failure }
        for words in report.missed { StandardError.print("karvan: \(words).") }
        try common.print(report.end, report.json)
    }

    private func find(
        _ replica: Replica, _ own: PeerAdvertisement
    ) throws -> (services: [FoundService], otherForumCount: Int) {
        var line = ProgressLine.standardError(replica.environment)
        defer { line.end() }
        var others: Swift.Set<String> = []
        do throws(DiscoveryFailure) {
            let services = try ServiceSearch.services(
                of: PeerAdvertisement.serviceType,
                monotonicMilliseconds: replica.environment.monotonicMilliseconds,
                wanted: { text in
                    guard let read = PeerAdvertisement(text: text) else { return false }
                    if read.forum != own.forum { others.insert(read.forum) }
                    return read.forum == own.forum && read.device != own.device
                },
                while: {
                    if !common.json { line.show { "looking for laptops nearby" } }
                    return !StopSignal.isStopped
                })
            return (services, others.count)
        } catch {
            throw CommandFailure(
                .configuration,
                "laptops nearby can't be looked for: \(error). Install or start avahi-daemon; or give the address "
                    + "that stands on the screen of the other laptop: `karvan sync --peer ADDRESS`")
        }
    }

    /// - Returns: `nil` where nothing came of it.
    private func meet(
        _ answer: NearbyQuestions.Answer, _ replica: Replica, _ report: inout NearbyReport
    ) throws -> PeerReport? {
        do {
            let met = try meet(try answer.url.get(), replica)
            report.add(met)
            if !common.json { try StandardOutput.print(met.met) }
            return met
        } catch let error {
            // What is wrong here is wrong with all others, too.
            guard let failure = CommandFailure(describing: error),
                [.unreachable, .protocolError, .refused].contains(failure.status)
            else { throw error }
            report.add(answer.service, failure)
            return nil
        }
    }
}
