namespace Tributary.Branching;

/// <summary>A dump that somebody wants in main.</summary>
/// <param name="File">Absolute: a file by <c>pg_dump</c> (plain SQL, custom or tar), or a folder by <c>pg_dump --format=directory</c>.</param>
public sealed record ImportRequest(string File)
{
    /// <summary>The database that it becomes; null for main's own.</summary>
    public string? Database { get; init; }

    /// <summary>Makes the roles that the dump gives things to and that main lacks. They cannot log in.</summary>
    public bool CreatesRoles { get; init; }
}

/// <summary>How far an import is.</summary>
/// <param name="Bytes">What the database has by now.</param>
public sealed record ImportProgress(ImportPhase Phase, long Bytes);

public enum ImportPhase
{
    Restoring,
    Analyzing,

    /// <summary>The database is in main; a seed of it is being made.</summary>
    Seeding,
}

/// <summary>A finished import.</summary>
/// <param name="Roles">Those that were made for it.</param>
/// <param name="Seed">That holds it; null when it could not be made, and <paramref name="SeedError"/> says why.</param>
public sealed record ImportReport(string Database, long Bytes, IReadOnlyList<string> Roles, SeedStatus? Seed, string? SeedError);
