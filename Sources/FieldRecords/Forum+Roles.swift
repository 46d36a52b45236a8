public import RecordSchema

extension Forum {
    /// Who may write what. What the forum is made of, its delegations, sites and programme, is the
    /// coordinators' to change; who is there, and what happened, is everybody's who records.
    ///
    /// A viewer only reads.
    public static let roles = [
        Role("coordinator", writing: nil),
        Role("lead", writing: recorded),
        Role("recorder", writing: recorded),
        Role("viewer", writing: []),
    ]

    /// A person among them: a walk-in is added at the door.
    private static let recorded = [
        person, contact, visit, observation, tally, note, photo, resolution, ruling, proposal,
        deferral,
    ]

    public static func role(named name: String) -> Role? { roles.first { $0.name == name } }
}
