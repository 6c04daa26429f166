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

    static readonly EnumerationOptions _all = new() { RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint, IgnoreInaccessible = true };

    /// <summary>Every file below a folder, in no order; a link is none.</summary>
    public static IEnumerable<string> FilesBelow(string folder) => Directory.EnumerateFiles(folder, "*", _all);

    /// <summary>The bytes below a folder. A server removes files while they are counted; the sum is then of what remained.</summary>
    public static BranchUsage Measure(string folder, CancellationToken cancellationToken)
    {
        var (exclusive, total) = (0L, 0L);
        foreach (var path in FilesBelow(folder))
        {
            cancellationToken.ThrowIfCancellationRequested();
            try
            {
                using var file = FileControl.Open(path);
                foreach (var extent in Of(file))
                {
                    total += extent.Length;
                    exclusive += extent.IsShared ? 0 : extent.Length;
                }
            }
            catch (IOException)
            {
                // It is gone since the folder was read.
            }
        }

        return new BranchUsage(exclusive, total);
    }

    /// <summary>A file's extents, in order.</summary>
    /// <exception cref="IOException">The kernel refused the question.</exception>
    public static IReadOnlyList<FileExtent> Of(SafeFileHandle file)
    {
        var extents = new List<FileExtent>();
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
                extents.Add(new FileExtent(
                    BinaryPrimitives.ReadInt64LittleEndian(extent), BinaryPrimitives.ReadInt64LittleEndian(extent[16..]), (flags & SharedExtent) != 0));
                if ((flags & LastExtent) != 0)
                    return extents;
                start = extents[^1].End;
            }

            if (mapped == 0)
                return extents;
        }
    }
}

/// <summary>A part of a file that lies in one piece.</summary>
/// <param name="Offset">Bytes from the file's begin.</param>
/// <param name="IsShared">Another file has it too.</param>
internal readonly record struct FileExtent(long Offset, long Length, bool IsShared)
{
    public long End => Offset + Length;
}
