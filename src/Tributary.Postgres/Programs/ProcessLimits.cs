using System.Runtime.InteropServices;

namespace Tributary.Postgres.Programs;

/// <summary>The limit that the kernel puts on a running process by prlimit(2), for machines whose control groups cannot be written.</summary>
public static partial class ProcessLimits
{
    /// <summary>RLIMIT_NPROC in asm-generic/resource.h.</summary>
    const int ProcessesResource = 6;

    /// <summary>
    /// Bounds the processes of the user that a server runs as, in the server's own user namespace: the kernel counts each namespace by
    /// itself (user_namespaces(7), since Linux 5.14), so that two servers do not share the number. False when the kernel refuses.
    /// </summary>
    public static bool TryBoundProcesses(int processId, int most)
    {
        Span<ulong> limit = [(ulong)most, (ulong)most];
        return SetLimit(processId, ProcessesResource, limit, 0) == 0;
    }

    [LibraryImport("libc", EntryPoint = "prlimit64", SetLastError = true)]
    private static partial int SetLimit(int processId, int resource, ReadOnlySpan<ulong> limit, nint previous);
}
