namespace Tributary.Server.Diagnosis;

/// <summary>What production says of itself at one moment; every check of it is a function of this.</summary>
sealed record ProductionFacts
{
    /// <summary>As the server writes it, for example <c>15.6 (Debian 15.6-0+deb12u1)</c>.</summary>
    public required string Version { get; init; }

    public required int Major { get; init; }

    public required bool IsStandby { get; init; }

    public required string WalLevel { get; init; }

    public required bool IsSuperuser { get; init; }

    /// <summary>The role has REPLICATION or is a superuser.</summary>
    public required bool MayReplicate { get; init; }

    public required int FreeSlots { get; init; }

    public required int FreeSenders { get; init; }

    /// <summary>Names of all slots.</summary>
    public IReadOnlyList<string> Slots { get; init; } = [];

    /// <summary>Of the database that the URL names.</summary>
    public IReadOnlyList<string> Extensions { get; init; } = [];

    /// <summary>The value of <c>shared_preload_libraries</c>; null when the role may not read it.</summary>
    public string? PreloadedLibraries { get; init; }

    public bool HasChecksums { get; init; } = true;

    /// <summary>Tablespaces outside the data directory.</summary>
    public IReadOnlyList<string> Tablespaces { get; init; } = [];

    public string Encoding { get; init; } = "UTF8";

    public string Collation { get; init; } = "C";

    /// <summary>Who sorts text in the database that the URL names: <c>libc</c>, <c>icu</c> or <c>builtin</c>.</summary>
    public string CollationProvider { get; init; } = "libc";

    /// <summary>The version of what sorts text there; null when the order never changes (C, POSIX), and when production does not tell.</summary>
    public string? CollationVersion { get; init; }

    /// <summary>Roles that only a managed service makes, such as <c>rds_superuser</c>.</summary>
    public IReadOnlyList<string> ServiceRoles { get; init; } = [];

    /// <summary>The address that production sees us at; null over a Unix socket.</summary>
    public string? ClientAddress { get; init; }

    /// <summary>What production answered to a connection for physical replication that it refused; null when it let us in, and when none was tried.</summary>
    public string? PhysicalRefusal { get; init; }
}

/// <summary>What this machine brings to a copy of production.</summary>
/// <param name="Majors">The major versions of Postgres that are installed.</param>
/// <param name="LibcVersion">The C library's version, for example <c>2.36</c>; null when it is not GNU's.</param>
sealed record MachineFacts(IReadOnlyCollection<int> Majors, string? LibcVersion);
