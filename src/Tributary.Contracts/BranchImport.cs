namespace Tributary.Contracts;

/// <summary>A dump that is to become a database of main.</summary>
/// <param name="File">An absolute path on the server's machine.</param>
public sealed record BranchImportRequest(string File)
{
    /// <summary>Null for main's own database.</summary>
    public string? Database { get; init; }

    /// <summary>Also makes the roles that the dump names, without a login.</summary>
    public bool CreateRoles { get; init; }
}

/// <summary>How far an import is: one line of the answer a step, the last of which has the phase <c>done</c> or a problem.</summary>
public sealed record BranchImportResponse
{
    /// <summary><c>restoring</c>, <c>analyzing</c>, <c>seeding</c>, and <c>done</c> at last.</summary>
    public required string Phase { get; init; }

    public string? Database { get; init; }

    /// <summary>What the database has by now.</summary>
    public long Bytes { get; init; }

    /// <summary>Roles that were made for it.</summary>
    public IReadOnlyList<string>? Roles { get; init; }

    /// <summary>The seed that holds it; absent when it could not be made yet.</summary>
    public string? SeedId { get; init; }

    /// <summary>Why there is no seed yet.</summary>
    public string? SeedError { get; init; }

    /// <summary>Why nothing was imported.</summary>
    public ProblemResponse? Problem { get; init; }
}
