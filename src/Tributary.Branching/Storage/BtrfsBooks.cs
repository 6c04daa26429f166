using System.Collections.Concurrent;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using Tributary.Postgres.Programs;

namespace Tributary.Branching.Storage;

/// <summary>
/// How many bytes each volume has for itself. What a clone has written since it was made is what it does not share: the file system keeps the
/// generation of each extent and skips whole subtrees that are older, so this takes milliseconds, where asking for each extent whether it is shared
/// takes a second for fifty clones. What a volume has come to share later is told by a mark on it, which a clone of it inherits and is too young for.
/// Source: https://btrfs.readthedocs.io/en/latest/btrfs-subvolume.html (find-new)
/// </summary>
internal sealed partial class BtrfsBooks
{
    /// <summary>Only who administers the machine sees and sets names that begin so (xattr(7)); a branch's superuser cannot lower its own account.</summary>
    const string MarkName = "trusted.tributary.shared";

    const int MarkBytesMax = 64;

    /// <summary>No extent is longer: the kernel allocates at most 256 MiB at once (btrfs_prealloc_file_range). A longer one is part of a file's name.</summary>
    const long ExtentBytesMax = 1L << 30;

    /// <summary>Never changes, but for the mark; forgotten when the volume is deleted.</summary>
    readonly ConcurrentDictionary<string, VolumeOrigin> _origins = new();

    public void Forget(string path) => _origins.TryRemove(path, out _);

    /// <summary>What the volume has for itself; nothing when it is gone.</summary>
    /// <param name="written">Gets where it has written since the mark, without the log, file by file and in order.</param>
    public async Task<BtrfsOwn> ReadAsync(string path, List<FileRange>? written, CancellationToken cancellationToken)
    {
        if (!_origins.TryGetValue(path, out var origin))
        {
            if (await ReadOriginAsync(path, cancellationToken) is not { } read)
                return default;
            origin = _origins.GetOrAdd(path, read);
        }

        var found = await ChildProcesses.RunAsync(
            new ChildProcessSpec("btrfs", ["subvolume", "find-new", path, origin.Generation.ToString(CultureInfo.InvariantCulture)]), cancellationToken);
        var (log, before, since, marker) = (0L, 0L, 0L, origin.Generation);
        foreach (var line in found.StandardOutput.Split('\n'))
        {
            if (ReadExtent(line) is not var (range, generation))
                marker = line.Split(' ') is ["transid", "marker", "was", var last] && TryParse(last, out var end) ? end : marker;
            else if (range.File.StartsWith("pg_wal/", StringComparison.Ordinal))
                log += range.Length;
            else if (generation <= origin.MarkGeneration)
                before += range.Length;
            else
            {
                since += range.Length;
                written?.Add(range);
            }
        }

        // What the volume has dropped since the mark is not its own any more.
        return new BtrfsOwn(Math.Min(before, origin.MarkBytes) + since, log, marker);
    }

    // inode 259 file offset 16384 len 24576 disk start 1171406848 offset 0 gen 58 flags NONE base/5/2619
    // A name stands there as it is, line breaks among it, and whoever is superuser in a branch names its files.
    static (FileRange Range, long Generation)? ReadExtent(string line) =>
        line.Split(' ', 17) is ["inode", _, "file", "offset", var offset, "len", var length, "disk", "start", _, "offset", _, "gen", var generation, "flags", _, var file]
        && TryParse(offset, out var start) && TryParse(length, out var bytes) && bytes <= ExtentBytesMax && TryParse(generation, out var written)
            ? (new FileRange(file, start, bytes), written)
            : null;

    static bool TryParse(string number, out long value) => long.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out value);

    /// <summary>Records that of what the volume had up to a generation only so many bytes are its own.</summary>
    /// <param name="bytes">Without the log, which is counted anew each time.</param>
    /// <exception cref="IOException">The kernel refused it; the message says why.</exception>
    public void Mark(string path, long generation, long bytes)
    {
        var mark = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{generation} {bytes}"));
        if (SetAttribute(path, MarkName, mark, (nuint)mark.Length, 0) != 0)
            throw new IOException(Marshal.GetLastPInvokeErrorMessage());
        if (_origins.TryGetValue(path, out var origin))
            _origins[path] = origin with { MarkGeneration = generation, MarkBytes = bytes };
    }

    static async Task<VolumeOrigin?> ReadOriginAsync(string path, CancellationToken cancellationToken)
    {
        var shown = await ChildProcesses.RunAsync(new ChildProcessSpec("btrfs", ["subvolume", "show", path]), cancellationToken);
        var facts = shown.StandardOutput.Split('\n').Select(line => line.Split(':', 2, StringSplitOptions.TrimEntries)).Where(line => line.Length == 2).DistinctBy(line => line[0])
            .ToDictionary(line => line[0], line => line[1]);
        if (!long.TryParse(facts.GetValueOrDefault("Gen at creation"), NumberStyles.None, CultureInfo.InvariantCulture, out var creation))
            return null;
        // What the source of a clone had in memory is written with the clone, in the same generation, and is both of theirs.
        var first = facts.GetValueOrDefault("Parent UUID") is "-" ? creation : creation + 1;
        var mark = new byte[MarkBytesMax];
        var length = (int)GetAttribute(path, MarkName, mark, (nuint)mark.Length);
        return length > 0 && Encoding.ASCII.GetString(mark, 0, length).Split(' ') is [var at, var bytes]
            && long.TryParse(at, NumberStyles.None, CultureInfo.InvariantCulture, out var marked) && marked > creation
            && long.TryParse(bytes, NumberStyles.None, CultureInfo.InvariantCulture, out var own)
            ? new VolumeOrigin(first, marked, own)
            : new VolumeOrigin(first, 0, 0);
    }

    [LibraryImport("libc", EntryPoint = "lsetxattr", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetAttribute(string path, string name, byte[] value, nuint size, int flags);

    [LibraryImport("libc", EntryPoint = "lgetxattr", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial nint GetAttribute(string path, string name, byte[] value, nuint size);

    /// <param name="Generation">Of the first that it has written.</param>
    /// <param name="MarkGeneration">Of the mark; 0 without one.</param>
    /// <param name="MarkBytes">What was its own by then.</param>
    readonly record struct VolumeOrigin(long Generation, long MarkGeneration, long MarkBytes);
}

/// <summary>What a volume has for itself.</summary>
/// <param name="DataBytes">All but the log.</param>
/// <param name="LogBytes">In <c>pg_wal</c>.</param>
/// <param name="Generation">The file system's at the question.</param>
internal readonly record struct BtrfsOwn(long DataBytes, long LogBytes, long Generation);
