using Tributary.Postgres.Programs;

namespace Tributary.Branching.Compute;

/// <summary>
/// The container of a branch's Postgres, made by bubblewrap: user, process, IPC, network, mount, cgroup and host-name namespaces of its own.
/// Inside there are the data directory, the configuration (read-only), the folder that the server opens its socket in, and the read-only files
/// that the server itself loads: its programs, the shared libraries, time zones and locales. There is no shell, no other program, no network
/// interface but loopback, and no file of the host, so that not even a superuser's <c>COPY … FROM PROGRAM</c> reaches production or a sibling.
/// Nothing but the data directory takes a file once the server is open (<see cref="ComputeFolder.TakeSocket"/>): a file elsewhere would count
/// towards no quota, and could be a library of whoever wrote it.
/// Source: https://manpages.debian.org/bookworm/bubblewrap/bwrap.1.en.html
/// </summary>
internal static class Sandbox
{
    public const string DataDirectory = "/data";

    public const string ConfigurationDirectory = "/conf";

    public const string SocketDirectory = "/socket";

    public const string Program = "bwrap";

    /// <summary>
    /// Read-only folders of the host that the server loads from; those that do not exist are left out. The last ones are the modules of
    /// languages (PL/Perl, PL/Python, PL/Tcl) and the projections of PostGIS, without which production's functions would fail in a branch.
    /// </summary>
    static readonly string[] ReadOnlyFolders =
    [
        "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib/locale", "/usr/share/zoneinfo",
        "/usr/share/perl", "/usr/share/perl5", "/usr/lib/python3", "/usr/share/tcltk", "/usr/share/proj", "/usr/share/gdal",
        .. Directory.Exists("/usr/lib") ? Directory.GetDirectories("/usr/lib", "python3.*") : [],
    ];

    /// <summary>The arguments of bwrap that run <paramref name="installation"/>'s server on a data directory.</summary>
    /// <param name="owner">By which it is found when it outlives its Tributary.</param>
    public static IReadOnlyList<string> Arguments(PostgresInstallation installation, LaunchSpec spec, ComputeFolder folder, string owner) =>
    [
        "--as-pid-1", .. Machine(installation), "--setenv", StrayServers.OwnerVariable, owner,
        "--bind", spec.DataDirectory, DataDirectory,
        "--ro-bind", folder.ConfigurationDirectory, ConfigurationDirectory,
        "--bind", folder.OpeningDirectory, SocketDirectory,
        .. spec.LinkDirectory is { } link ? ["--ro-bind", link, LaunchSpec.LinkMount] : Array.Empty<string>(),
        "--remount-ro", "/",
        "--chdir", DataDirectory,
        "--", installation.Program("postgres"), "-D", DataDirectory, .. folder.Arguments(sandboxed: true),
    ];

    /// <summary>What every sandbox has: namespaces of its own without a network, and the folders that programs are loaded from.</summary>
    public static IReadOnlyList<string> Machine(PostgresInstallation installation)
    {
        List<string> arguments =
        [
            "--unshare-user", "--disable-userns", "--unshare-all", "--die-with-parent", "--new-session", "--hostname", "branch",
            "--cap-drop", "ALL", "--clearenv", "--setenv", "LC_ALL", "C.UTF-8", "--setenv", "PATH", installation.BinDirectory,
        ];
        foreach (var readOnly in ReadOnlyFolders)
            arguments.AddRange(["--ro-bind-try", readOnly, readOnly]);
        arguments.AddRange(
        [
            "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64",
            "--proc", "/proc", "--dev", "/dev", "--remount-ro", "/dev", "--dir", "/tmp",
        ]);
        // After /tmp, since an installation may lie below it.
        foreach (var readOnly in InstallationFolders(installation))
            arguments.AddRange(["--ro-bind-try", readOnly, readOnly]);
        return arguments;
    }

    // Debian keeps programs and libraries in one folder and time zone sets, dictionaries and extension scripts in another;
    // an embedded build keeps all below one folder beside bin.
    static IEnumerable<string> InstallationFolders(PostgresInstallation installation)
    {
        var root = Path.GetDirectoryName(installation.BinDirectory.TrimEnd('/'))!;
        yield return root;
        if (root.StartsWith("/usr/lib/postgresql/", StringComparison.Ordinal))
            yield return $"/usr/share/postgresql/{installation.Major}";
    }
}
