using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Tributary.Branching.Storage;

/// <summary>
/// Asks the file system where each file lies (FS_IOC_FIEMAP) and which extents another file shares: those that none shares are a folder's own.
/// The system call costs microseconds a file, where a program for it would cost milliseconds.
/// Source: https://docs.kernel.org/filesystems/fiemap.html
/// </summary>
internal static class FileExtents
{
    const nuint MapRequest = 0xC020660B; // _IOWR('f', 11, struct fiemap)
    const int HeaderBytes = 32;
    const int ExtentBytes = 56;

    /// <summary>Extents in one call: most files have fewer, and the buffer stays on the stack.</summary>
    const int ExtentsMax = 128;

    const uint LastExtent = 0x1;
    const uint SharedExtent = 0x2000;

    /// <summary>The bytes below a folder. A server removes files while they are counted; the sum is then of what remained.</summary>
    public static BranchUsage Measure(string folder, CancellationToken cancellationToken)
    {
        var (exclusive, total) = (0L, 0L);
        foreach (var (range, isShared) in Below(folder, cancellationToken))
        {
            total += range.Length;
            exclusive += isShared ? 0 : range.Length;
        }

        return new BranchUsage(exclusive, total);
    }

    /// <summary>What each file below a folder has, and whether another file has it too, file by file and in order.</summary>
    public static IEnumerable<(FileRange Range, bool IsShared)> Below(string folder, CancellationToken cancellationToken)
    {
        var all = new EnumerationOptions { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = true };
        foreach (var path in Directory.EnumerateFiles(folder, "*", all))
        {
            cancellationToken.ThrowIfCancellationRequested();
            foreach (var extent in Of(path, Path.GetRelativePath(folder, path)))
                yield return extent;
        }
    }

    static List<(FileRange Range, bool IsShared)> Of(string path, string name)
    {
        try
        {
            using var file = FileControl.Open(path);
            return Of(file, name);
        }
        catch (IOException)
        {
            // It is gone since the folder was read.
            return [];
        }
    }

    static List<(FileRange Range, bool IsShared)> Of(SafeFileHandle file, string name)
    {
        var extents = new List<(FileRange Range, bool IsShared)>();
        Span<byte> map = stackalloc byte[HeaderBytes + (ExtentsMax * ExtentBytes)];
        for (long start = 0; ;)
        {
            map[..HeaderBytes].Clear();
            BinaryPrimitives.WriteInt64LittleEndian(map, start);
            BinaryPrimitives.WriteUInt64LittleEndian(map[8..], ulong.MaxValue - (ulong)start);
            BinaryPrimitives.WriteInt32LittleEndian(map[24..], ExtentsMax);
            FileControl.Request(file, MapRequest, ref MemoryMarshal.GetReference(map));
            var mapped = BinaryPrimitives.ReadInt32LittleEndian(map[20..]);
            for (var i = 0; i < mapped; i++)
            {
                var extent = map.Slice(HeaderBytes + (i * ExtentBytes), ExtentBytes);
                var flags = BinaryPrimitives.ReadUInt32LittleEndian(extent[40..]);
                var range = new FileRange(name, BinaryPrimitives.ReadInt64LittleEndian(extent), BinaryPrimitives.ReadInt64LittleEndian(extent[16..]));
                extents.Add((range, (flags & SharedExtent) != 0));
                if ((flags & LastExtent) != 0)
                    return extents;
                start = range.End;
            }

            if (mapped == 0)
                return extents;
        }
    }
}
