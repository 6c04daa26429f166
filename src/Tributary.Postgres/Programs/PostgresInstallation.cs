using System.Globalization;

namespace Tributary.Postgres.Programs;

/// <summary>
/// The programs of one Postgres major version on this machine (<c>postgres</c>, <c>initdb</c>, <c>pg_dump</c> …).
/// </summary>
/// <param name="Major">The major version, for example 15.</param>
/// <param name="BinDirectory">The folder that holds the programs, absolute.</param>
public sealed record PostgresInstallation(int Major, string BinDirectory)
{
    /// <summary>The folder where Debian keeps one installation a major version.</summary>
    const string DebianRoot = "/usr/lib/postgresql";

    public string Program(string name) => Path.Combine(BinDirectory, name);

    /// <summary>Whether the program is there: a folder may hold the server alone.</summary>
    public bool Has(string name) => File.Exists(Program(name));

    /// <summary>
    /// The folder of extension scripts, time zone sets and dictionaries: Debian keeps it apart from the programs, an embedded build beside
    /// <c>bin</c> (<c>share/postgresql</c>, or <c>share</c> itself).
    /// </summary>
    public string ShareDirectory => IsPackaged
        ? $"/usr/share/postgresql/{Major}"
        : Directory.Exists(Path.Combine(Root, "share/postgresql/extension")) ? Path.Combine(Root, "share/postgresql") : Path.Combine(Root, "share");

    /// <summary>Whether the machine's own packages have made it.</summary>
    public bool IsPackaged => BinDirectory.StartsWith(DebianRoot, StringComparison.Ordinal);

    /// <summary>The file of a library that <c>LOAD</c> finds by its name; null when there is none.</summary>
    public string? Library(string name) =>
        new[] { Path.Combine(Root, "lib", $"{name}.so"), Path.Combine(Root, "lib/postgresql", $"{name}.so") }.FirstOrDefault(File.Exists);

    string Root => Path.GetDirectoryName(BinDirectory.TrimEnd('/'))!;

    /// <summary>Whether <c>CREATE EXTENSION</c> finds this one.</summary>
    public bool OffersExtension(string name) => File.Exists(Path.Combine(ShareDirectory, "extension", $"{name}.control"));

    /// <summary>Whether a library can be loaded by its name (https://www.postgresql.org/docs/current/runtime-config-client.html#GUC-SHARED-PRELOAD-LIBRARIES).</summary>
    public bool OffersLibrary(string name) =>
        Library(Path.GetFileName(name) is var file && file.EndsWith(".so", StringComparison.Ordinal) ? file[..^3] : file) is not null;

    /// <summary>All installations found, newest first: Debian's, then those named by <c>TRIBUTARY_POSTGRES_BIN</c> (a path list).</summary>
    public static IReadOnlyList<PostgresInstallation> FindAll()
    {
        var found = new List<PostgresInstallation>();
        if (Directory.Exists(DebianRoot))
        {
            foreach (var directory in Directory.EnumerateDirectories(DebianRoot))
            {
                if (int.TryParse(Path.GetFileName(directory), NumberStyles.None, CultureInfo.InvariantCulture, out var major) &&
                    File.Exists(Path.Combine(directory, "bin", "postgres")))
                    found.Add(new PostgresInstallation(major, Path.Combine(directory, "bin")));
            }
        }

        foreach (var entry in (Environment.GetEnvironmentVariable("TRIBUTARY_POSTGRES_BIN") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries))
        {
            if (MajorOf(entry) is { } major)
                found.Add(new PostgresInstallation(major, Path.GetFullPath(entry)));
        }

        return [.. found.OrderByDescending(installation => installation.Major)];
    }

    /// <summary>The installation of one major version.</summary>
    /// <exception cref="InvalidOperationException">It is not installed; the message says what to install.</exception>
    public static PostgresInstallation Find(int major) =>
        FindAll().FirstOrDefault(installation => installation.Major == major) ?? throw new InvalidOperationException(
            $"PostgreSQL {major} is not installed on this machine. Install it (Debian: apt-get install postgresql-{major}), or name the folder of its programs in TRIBUTARY_POSTGRES_BIN.");

    /// <summary>The newest installation that the machine's own packages have made; without any, the newest that the environment names.</summary>
    /// <exception cref="InvalidOperationException">None is installed.</exception>
    public static PostgresInstallation FindNewest() => FindAll() is [var newest, ..] all
        ? all.FirstOrDefault(static installation => installation.IsPackaged) ?? newest
        : throw new InvalidOperationException("No PostgreSQL server is installed on this machine. Install one (Debian: apt-get install postgresql).");

    /// <summary>A client program of this installation, or of another one if this holds the server alone; any version serves.</summary>
    /// <exception cref="InvalidOperationException">No installation has it.</exception>
    public string ClientProgram(string name) => Has(name)
        ? Program(name)
        : FindAll().FirstOrDefault(installation => installation.Has(name))?.Program(name) ?? throw new InvalidOperationException(
            $"No PostgreSQL installation on this machine has the program {name}. Install it (Debian: apt-get install postgresql-client).");

    // A folder of an embedded build carries no version in its name, so the control file's program is asked once.
    static int? MajorOf(string binDirectory)
    {
        var program = Path.Combine(binDirectory, "postgres");
        if (!File.Exists(program))
            return null;
        var result = ChildProcesses.RunAsync(new ChildProcessSpec(program, ["--version"]), CancellationToken.None).GetAwaiter().GetResult();
        var version = result.StandardOutput.Split(' ').FirstOrDefault(word => word.Length > 0 && char.IsAsciiDigit(word[0]));
        return version is not null && int.TryParse(version.Split('.', '\n')[0], NumberStyles.None, CultureInfo.InvariantCulture, out var major) ? major : null;
    }
}
