using System.Net;
using System.Net.Sockets;
using Tributary.Branching;
using Tributary.Contracts;
using Tributary.Postgres.Programs;

namespace Tributary.Server.Diagnosis;

/// <summary>What this machine has of what branches need.</summary>
static class MachineChecks
{
    /// <summary>Below this a base backup of anything but a toy fails.</summary>
    const long FreeBytesLeast = 1L << 30;

    const long FreeBytesGood = 10L << 30;

    static readonly string[] ProgramFolders = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

    public static async Task<IReadOnlyList<DoctorCheck>> RunAsync(string stateDirectory, CancellationToken cancellationToken) =>
        [Root(), Installation(), Btrfs(), LoopDevices(), await SandboxAsync(cancellationToken), Limits(), FreeSpace(stateDirectory)];

    public static DoctorCheck GatewayPort(IPEndPoint listen)
    {
        const string Name = "gateway port";
        if (listen.Port == 0)
            return new DoctorCheck(Name, CheckOutcome.Ok, "a free one is taken");
        using var socket = new Socket(listen.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            socket.Bind(listen);
            return new DoctorCheck(Name, CheckOutcome.Ok, $"{listen} is free");
        }
        catch (SocketException exception)
        {
            return new DoctorCheck(Name, CheckOutcome.Failed, $"{listen} cannot be taken: {exception.Message}", "stop what listens there ('ss -ltnp' shows it), or choose another with --listen or 'gateway.listen'");
        }
    }

    static DoctorCheck Root() => Environment.IsPrivilegedProcess
        ? new DoctorCheck("root", CheckOutcome.Ok, "runs as root")
        : new DoctorCheck("root", CheckOutcome.Warning, "does not run as root: no copy-on-write pool can be mounted, so branches are full copies", "run with sudo");

    static DoctorCheck Installation()
    {
        const string Name = "postgresql";
        var found = PostgresInstallation.FindAll();
        return found.Count > 0
            ? new DoctorCheck(Name, CheckOutcome.Ok, $"{string.Join(", ", found.Select(installation => $"{installation.Major} in {installation.BinDirectory}"))}")
            : new DoctorCheck(Name, CheckOutcome.Failed, "no PostgreSQL server is installed", "apt-get install postgresql, or name the folder of its programs in TRIBUTARY_POSTGRES_BIN");
    }

    static DoctorCheck Btrfs()
    {
        const string Name = "btrfs";
        const string Without = "branches are full copies without it";
        if (FindProgram("mkfs.btrfs") is null)
            return new DoctorCheck(Name, CheckOutcome.Warning, $"mkfs.btrfs is not installed; {Without}", "apt-get install btrfs-progs");
        return File.ReadLines("/proc/filesystems").Any(line => line.Trim() == "btrfs")
            ? new DoctorCheck(Name, CheckOutcome.Ok, "the kernel and the programs are there")
            : new DoctorCheck(Name, CheckOutcome.Warning, $"the kernel has not loaded btrfs; {Without}", "modprobe btrfs");
    }

    static DoctorCheck LoopDevices() => File.Exists("/dev/loop-control")
        ? new DoctorCheck("loop devices", CheckOutcome.Ok, "/dev/loop-control is there")
        : new DoctorCheck("loop devices", CheckOutcome.Warning, "there is no /dev/loop-control: no pool can be made in a file, so branches are full copies", "modprobe loop; in a container, give it the loop devices");

    static async Task<DoctorCheck> SandboxAsync(CancellationToken cancellationToken)
    {
        const string Name = "sandbox";
        if (FindProgram("bwrap") is not { } bubblewrap)
            return new DoctorCheck(Name, CheckOutcome.Failed, "bubblewrap is not installed; a branch never runs outside its sandbox", "apt-get install bubblewrap");
        try
        {
            // The namespaces that a branch runs in, around a program that does nothing.
            var tried = await ChildProcesses.RunAsync(
                new ChildProcessSpec(bubblewrap, ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all", "--die-with-parent", "true"]) { AsPostgresUser = true }, cancellationToken);
            return tried.Succeeded
                ? new DoctorCheck(Name, CheckOutcome.Ok, $"{bubblewrap} isolates network, processes and files")
                : new DoctorCheck(Name, CheckOutcome.Failed, $"{bubblewrap} does not work here: {tried.StandardError.Trim()}", "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1, or in a container, run it privileged");
        }
        catch (ChildProcessException exception)
        {
            return new DoctorCheck(Name, CheckOutcome.Failed, exception.Message, "the operating-system user 'postgres' is needed: apt-get install postgresql");
        }
    }

    static DoctorCheck Limits() => ComputeLimits.Obstacle() is { } obstacle
        ? new DoctorCheck("branch limits", CheckOutcome.Warning, obstacle, "run as root; in a systemd unit set Delegate=yes; in a container, give it a writable cgroup")
        : new DoctorCheck("branch limits", CheckOutcome.Ok, "control groups bound memory, processor time and processes");

    static DoctorCheck FreeSpace(string stateDirectory)
    {
        const string Name = "disk space";
        var free = FreeBytes(stateDirectory);
        var detail = $"{free / 1e9:0.0} GB free for {stateDirectory}";
        return free switch
        {
            < FreeBytesLeast => new DoctorCheck(Name, CheckOutcome.Failed, detail, "free some, or put the state folder elsewhere with --state or 'state:'"),
            < FreeBytesGood => new DoctorCheck(Name, CheckOutcome.Warning, detail, "main takes as much as production; put the state folder where that fits"),
            _ => new DoctorCheck(Name, CheckOutcome.Ok, detail),
        };
    }

    /// <summary>Free on the disk where a folder is, or would be made.</summary>
    public static long FreeBytes(string folder)
    {
        var existing = folder;
        while (!Directory.Exists(existing))
            existing = Path.GetDirectoryName(existing) ?? "/";
        return new DriveInfo(existing).AvailableFreeSpace;
    }

    // Root's PATH often lacks the sbin folders when the program is started by a service.
    static string? FindProgram(string name) => (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':', StringSplitOptions.RemoveEmptyEntries)
        .Concat(ProgramFolders).Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);
}
