using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>
/// The folder of one server outside the pool: configuration, socket and log. Data directories carry no configuration at all, so that neither
/// production's archiving nor the follower's connection to production can ride along in a clone.
/// </summary>
internal sealed class ComputeFolder(string path)
{
    /// <summary>After a socket's name, the name of the file that says which process has it.</summary>
    const string LockSuffix = ".lock";

    const string PidFile = "postmaster.pid";

    const int LinesShown = 5;

    const int LinesSearched = 40;

    /// <summary>The first line of a start (PostmasterMain in src/backend/postmaster/postmaster.c); what is before it is of another one.</summary>
    const string Start = "starting PostgreSQL ";

    /// <summary>What a server ends by, and what a full disk is known by, whatever the line's severity.</summary>
    static readonly string[] Causes = ["FATAL: ", "PANIC: ", "No space left on device"];

    /// <summary>The longest path of a Unix socket on Linux, less the closing NUL (unix(7)).</summary>
    const int SocketPathBytesMax = 107;

    /// <summary>
    /// What makes a server harmless and findable. It stands on the command line, which outranks every file: neither ALTER SYSTEM in a branch
    /// nor what production's ALTER SYSTEM left in a clone changes it (https://www.postgresql.org/docs/current/config-setting.html).
    /// No TCP, no archiving, no preloaded libraries, no workers of subscriptions.
    /// </summary>
    static readonly string[] Locked =
    [
        "hba_file={conf}/pg_hba.conf",
        "ident_file={conf}/pg_ident.conf",
        "external_pid_file={socket}/" + PidFile,
        "unix_socket_directories={socket}",
        "unix_socket_permissions=0700",
        "unix_socket_group=",
        "listen_addresses=",
        "port=5432",
        "archive_mode=off",
        "shared_preload_libraries=",
        "max_logical_replication_workers=0",
        "huge_pages=off",
        "dynamic_shared_memory_type={shared memory}",
        "logging_collector=off",
        "log_destination=stderr",
        "ssl=off",
    ];

    /// <summary>
    /// What else every server of ours begins with. Fresh log segments are neither zeroed nor kept: a branch pays for what it writes and
    /// nothing more.
    /// </summary>
    static readonly string[] Common =
    [
        "restore_command = ''",
        "session_preload_libraries = ''",
        "wal_init_zero = off",
        "wal_recycle = off",
        "min_wal_size = 32MB",
        "password_encryption = scram-sha-256",
    ];

    /// <summary>The names of the settings that nothing overrides.</summary>
    public static IEnumerable<string> LockedNames => Locked.Select(setting => setting[..setting.IndexOf('=', StringComparison.Ordinal)]);

    /// <summary>The server's: <c>main</c>, or a branch's volume without its folder.</summary>
    public string Name => Path.GetFileName(path);

    /// <summary>Where Tributary finds the server's socket. No sandbox sees this folder.</summary>
    public string SocketDirectory => Path.Combine(path, "socket");

    /// <summary>Where a sandboxed server opens its socket; gone once it has.</summary>
    public string OpeningDirectory => Path.Combine(path, "opening");

    public string ConfigurationDirectory => Path.Combine(path, "conf");

    public string ConfigurationFile => Path.Combine(ConfigurationDirectory, "postgresql.conf");

    string HbaFile => Path.Combine(ConfigurationDirectory, "pg_hba.conf");

    string IdentFile => Path.Combine(ConfigurationDirectory, "pg_ident.conf");

    public string LogFile => Path.Combine(path, "postgres.log");

    /// <summary>Writes the configuration anew; what an earlier run left in the folder does not count.</summary>
    public async Task WriteAsync(IReadOnlyList<string> settings, CancellationToken cancellationToken)
    {
        const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        if (System.Text.Encoding.UTF8.GetByteCount(Path.Combine(SocketDirectory, LaunchSpec.SocketFile)) > SocketPathBytesMax)
            throw new ChildProcessException($"The path {SocketDirectory} is too long for a Unix socket; choose a shorter state folder.");
        // The log tells what clients did, so nobody else on the machine may enter any of it.
        if (Directory.Exists(OpeningDirectory))
            Directory.Delete(OpeningDirectory, recursive: true);
        foreach (var folder in new[] { path, SocketDirectory, OpeningDirectory, ConfigurationDirectory })
            Directory.CreateDirectory(folder, OwnerOnly);
        File.Delete(Path.Combine(SocketDirectory, LaunchSpec.SocketFile));
        File.Delete(Path.Combine(SocketDirectory, LaunchSpec.SocketFile + LockSuffix));
        await WriteSettingsAsync(FileMode.Create, settings, cancellationToken);
        await File.WriteAllTextAsync(HbaFile, "local all all trust\nlocal replication all trust\n", cancellationToken);
        await File.WriteAllTextAsync(IdentFile, "", cancellationToken);
        PostgresUser.Own(path, SocketDirectory, OpeningDirectory, ConfigurationDirectory, ConfigurationFile, HbaFile, IdentFile);
    }

    /// <summary>
    /// Writes the settings alone, below a server that runs. The file is there already: one that was made anew could come into a folder that is
    /// just being removed with its branch, which then would not be empty.
    /// </summary>
    /// <exception cref="IOException">The folder has been removed.</exception>
    public Task WriteSettingsAsync(IReadOnlyList<string> settings, CancellationToken cancellationToken) => WriteSettingsAsync(FileMode.Truncate, settings, cancellationToken);

    /// <summary>
    /// Takes the socket of a sandboxed server that is ready to where its sandbox does not reach, and removes the folder that it was opened in.
    /// Whoever is superuser in the branch could else put a symbolic link to another server's socket in its place, and Tributary, which connects
    /// as a superuser, would follow it out of the sandbox; and what is written into the folder would be on the host's disk. A folder that is
    /// removed takes no file any more, also where it is mounted (<c>vfs_create</c> in fs/namei.c of Linux), and a socket is reached by any name
    /// that leads to it. The server touches and removes its own name for it without looking at the outcome.
    /// </summary>
    /// <exception cref="ChildProcessException">There is another thing in its place: something in the data has run before the first client.</exception>
    public void TakeSocket()
    {
        var taken = Path.Combine(SocketDirectory, LaunchSpec.SocketFile);
        try
        {
            // A rename follows no link at its end.
            File.Move(Path.Combine(OpeningDirectory, LaunchSpec.SocketFile), taken, overwrite: true);
            foreach (var other in new[] { LaunchSpec.SocketFile + LockSuffix, PidFile })
                File.Delete(Path.Combine(OpeningDirectory, other));
            // Not with what is in it: a folder that changes meanwhile could lead the removal elsewhere.
            Directory.Delete(OpeningDirectory);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new ChildProcessException($"The socket of {Name} cannot be taken out of its sandbox: {exception.Message}");
        }

        if (File.ResolveLinkTarget(taken, returnFinalTarget: false) is not null)
            throw new ChildProcessException($"The server of {Name} has put a symbolic link in the place of its socket. Reset or delete the branch.");
    }

    /// <summary>The arguments that make postgres read this configuration and hold it to what is locked.</summary>
    public IEnumerable<string> Arguments(bool sandboxed)
    {
        var conf = sandboxed ? Sandbox.ConfigurationDirectory : ConfigurationDirectory;
        var socket = sandboxed ? Sandbox.SocketDirectory : SocketDirectory;
        // In a sandbox shared memory has no files, which would be a place to write to; outside it has, which the server removes after a crash.
        var memory = sandboxed ? "sysv" : "posix";
        return Locked.Prepend("config_file={conf}/postgresql.conf").SelectMany(setting => new[]
        {
            "-c",
            setting.Replace("{conf}", conf, StringComparison.Ordinal).Replace("{socket}", socket, StringComparison.Ordinal).Replace("{shared memory}", memory, StringComparison.Ordinal),
        });
    }

    public void Delete()
    {
        if (Directory.Exists(path))
            Directory.Delete(path, recursive: true);
    }

    /// <summary>The end of the log, and before it what ended the server: how a server goes down may take more lines than why.</summary>
    public string LastLogLines()
    {
        if (!File.Exists(LogFile))
            return "(no log)";
        var lines = File.ReadLines(LogFile).TakeLast(LinesSearched).ToList();
        lines.RemoveRange(0, Math.Max(0, lines.FindLastIndex(static line => line.Contains(Start, StringComparison.Ordinal))));
        return string.Join(" | ", lines.Where((line, index) => index >= lines.Count - LinesShown || IsCause(line)).Select(line => line.Length > 300 ? line[..300] : line));
    }

    async Task WriteSettingsAsync(FileMode mode, IReadOnlyList<string> settings, CancellationToken cancellationToken)
    {
        await using var file = new FileStream(ConfigurationFile, mode, FileAccess.Write);
        await using var writer = new StreamWriter(file);
        foreach (var line in Common.Concat(settings))
            await writer.WriteLineAsync(line.AsMemory(), cancellationToken);
    }

    static bool IsCause(string line) => Causes.Any(cause => line.Contains(cause, StringComparison.Ordinal));
}
