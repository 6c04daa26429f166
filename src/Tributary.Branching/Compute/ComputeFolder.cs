using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>
/// The folder of one server outside the pool: configuration, socket and log. Data directories carry no configuration at all, so that neither
/// production's archiving nor the follower's connection to production can ride along in a clone.
/// </summary>
internal sealed class ComputeFolder(string path)
{
    /// <summary>The longest path of a Unix socket on Linux, less the closing NUL (unix(7)).</summary>
    const int SocketPathBytesMax = 107;

    public const string SocketFile = ".s.PGSQL.5432";

    /// <summary>
    /// Settings of every server of ours. No TCP, no archiving, no preloaded libraries, no workers of subscriptions.
    /// Fresh log segments are neither zeroed nor kept: a branch pays for what it writes and nothing more.
    /// </summary>
    static readonly string[] Common =
    [
        "hba_file = '{conf}/pg_hba.conf'",
        "ident_file = '{conf}/pg_ident.conf'",
        "unix_socket_directories = '{socket}'",
        "listen_addresses = ''",
        "port = 5432",
        "unix_socket_permissions = 0700",
        "archive_mode = off",
        "restore_command = ''",
        "shared_preload_libraries = ''",
        "session_preload_libraries = ''",
        "max_logical_replication_workers = 0",
        "huge_pages = off",
        "dynamic_shared_memory_type = posix",
        "wal_init_zero = off",
        "wal_recycle = off",
        "min_wal_size = 32MB",
        "logging_collector = off",
        "log_destination = stderr",
        "ssl = off",
        "password_encryption = scram-sha-256",
    ];

    public string SocketDirectory => Path.Combine(path, "socket");

    public string ConfigurationDirectory => Path.Combine(path, "conf");

    public string ConfigurationFile => Path.Combine(ConfigurationDirectory, "postgresql.conf");

    string HbaFile => Path.Combine(ConfigurationDirectory, "pg_hba.conf");

    string IdentFile => Path.Combine(ConfigurationDirectory, "pg_ident.conf");

    public string LogFile => Path.Combine(path, "postgres.log");

    /// <summary>Writes the configuration anew; what an earlier run left in the folder does not count.</summary>
    public async Task WriteAsync(IReadOnlyList<string> settings, bool sandboxed, CancellationToken cancellationToken)
    {
        const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        if (System.Text.Encoding.UTF8.GetByteCount(Path.Combine(SocketDirectory, SocketFile)) > SocketPathBytesMax)
            throw new ChildProcessException($"The path {SocketDirectory} is too long for a Unix socket; choose a shorter state folder.");
        // The log tells what clients did, so nobody else on the machine may enter any of it.
        foreach (var folder in new[] { path, SocketDirectory, ConfigurationDirectory })
            Directory.CreateDirectory(folder, OwnerOnly);
        File.Delete(Path.Combine(SocketDirectory, SocketFile));
        File.Delete(Path.Combine(SocketDirectory, SocketFile + ".lock"));
        var conf = sandboxed ? Sandbox.ConfigurationDirectory : ConfigurationDirectory;
        var socket = sandboxed ? Sandbox.SocketDirectory : SocketDirectory;
        await File.WriteAllLinesAsync(
            ConfigurationFile,
            [.. Common.Select(line => line.Replace("{conf}", conf, StringComparison.Ordinal).Replace("{socket}", socket, StringComparison.Ordinal)), .. settings],
            cancellationToken);
        await File.WriteAllTextAsync(HbaFile, "local all all trust\n", cancellationToken);
        await File.WriteAllTextAsync(IdentFile, "", cancellationToken);
        PostgresUser.Own(path, SocketDirectory, ConfigurationDirectory, ConfigurationFile, HbaFile, IdentFile);
    }

    public void Delete()
    {
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
    }

    public string LastLogLines() => File.Exists(LogFile)
        ? string.Join(" | ", File.ReadLines(LogFile).TakeLast(5).Select(line => line.Length > 300 ? line[..300] : line))
        : "(no log)";
}
