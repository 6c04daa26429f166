using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Tributary.Branching.Storage;

/// <summary>
/// Lets files share what they hold alike. The kernel compares the blocks itself, with both files locked against writes, and shares none that differ,
/// so whoever writes to either meanwhile loses nothing (FIDEDUPERANGE). What is compared here before only saves it questions.
/// Source: https://man7.org/linux/man-pages/man2/ioctl_fideduperange.2.html
/// </summary>
internal static class AlikeBlocks
{
    const nuint ShareRequest = 0xC0189436; // _IOWR(0x94, 54, struct file_dedupe_range)
    const int HeaderBytes = 24;
    const int TargetBytes = 32;
    const int SharedBytesOffset = HeaderBytes + 16;
    const int StatusOffset = HeaderBytes + 24;

    /// <summary>Postgres's page. File systems share whole blocks, of 4 KiB at most places.</summary>
    const int PageBytes = 8192;

    /// <summary>What is read at once, and the most that is asked for in one request, which locks both files: 1 MiB.</summary>
    const int PieceBytes = 128 * PageBytes;

    /// <summary>
    /// Shares what the files below a folder hold like the files of the same names below another one; answers how many bytes are shared now. The log
    /// is left out: it is deleted soon. So is what cannot be read: a server removes files at any time, and its owner may put other things there.
    /// </summary>
    /// <exception cref="IOException">There is no such folder.</exception>
    public static long ShareBelow(string folder, string other, CancellationToken cancellationToken)
    {
        var shared = 0L;
        var (own, its) = (new byte[PieceBytes], new byte[PieceBytes]);
        foreach (var path in FileExtents.FilesBelow(folder))
        {
            var name = Path.GetRelativePath(folder, path);
            if (name.StartsWith("pg_wal/", StringComparison.Ordinal))
                continue;
            try
            {
                using var file = FileControl.Open(path);
                using var others = FileControl.Open(Path.Combine(other, name));
                shared += Share(file, others, own, its, cancellationToken);
            }
            catch (Exception exception) when (exception is IOException or NotSupportedException)
            {
                // It keeps what it has.
            }
        }

        return shared;
    }

    // Only what no other file has yet is looked at.
    static long Share(SafeFileHandle file, SafeFileHandle other, byte[] own, byte[] its, CancellationToken cancellationToken)
    {
        var shared = 0L;
        var limit = Math.Min(RandomAccess.GetLength(file), RandomAccess.GetLength(other));
        foreach (var (first, last) in OwnRanges(file))
        {
            var end = Math.Min(last, limit) / PageBytes * PageBytes;
            for (var offset = (first + PageBytes - 1) / PageBytes * PageBytes; offset < end; offset += PieceBytes)
            {
                cancellationToken.ThrowIfCancellationRequested();
                var length = (int)Math.Min(PieceBytes, end - offset);
                length = Math.Min(RandomAccess.Read(file, own.AsSpan(0, length), offset), RandomAccess.Read(other, its.AsSpan(0, length), offset));
                foreach (var (start, count) in Runs(own, its, length / PageBytes))
                    shared += ShareRange(file, other, offset + start, count);
            }
        }

        return shared;
    }

    // Neighbouring extents that the file alone has are one range: a page may lie in two of them.
    static IEnumerable<(long First, long Last)> OwnRanges(SafeFileHandle file)
    {
        var (first, last) = (0L, 0L);
        foreach (var extent in FileExtents.Of(file).Where(extent => !extent.IsShared))
        {
            if (extent.Offset != last && last > first)
                yield return (first, last);
            (first, last) = (extent.Offset == last ? first : extent.Offset, extent.End);
        }

        if (last > first)
            yield return (first, last);
    }

    // Whole pages that are equal, as neighbours in one piece, in bytes.
    static IEnumerable<(int Start, int Length)> Runs(byte[] own, byte[] its, int pages)
    {
        for (int page = 0, first = -1; page <= pages; page++)
        {
            var place = page * PageBytes;
            var isEqual = page < pages && own.AsSpan(place, PageBytes).SequenceEqual(its.AsSpan(place, PageBytes));
            if (isEqual && first < 0)
                first = place;
            if (isEqual || first < 0)
                continue;
            yield return (first, place - first);
            first = -1;
        }
    }

    static long ShareRange(SafeFileHandle file, SafeFileHandle other, long offset, int length)
    {
        Span<byte> range = stackalloc byte[HeaderBytes + TargetBytes];
        range.Clear();
        BinaryPrimitives.WriteInt64LittleEndian(range, offset);
        BinaryPrimitives.WriteInt64LittleEndian(range[8..], length);
        BinaryPrimitives.WriteInt16LittleEndian(range[16..], 1);
        BinaryPrimitives.WriteInt64LittleEndian(range[HeaderBytes..], file.DangerousGetHandle());
        BinaryPrimitives.WriteInt64LittleEndian(range[(HeaderBytes + 8)..], offset);
        FileControl.Request(other, ShareRequest, ref MemoryMarshal.GetReference(range));
        // Positive when they differ by now, negative for an error of this file.
        return BinaryPrimitives.ReadInt32LittleEndian(range[StatusOffset..]) == 0 ? BinaryPrimitives.ReadInt64LittleEndian(range[SharedBytesOffset..]) : 0;
    }
}
