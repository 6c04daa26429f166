using System.Buffers;
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

    /// <summary>What is read at once, and the most that is asked for in one request, which locks both files: 512 KiB.</summary>
    const int PieceBytes = 64 * PageBytes;

    /// <summary>
    /// Shares these ranges of files below a folder with the same ranges of the files of the same names below another one, where they hold the
    /// same; answers how many bytes are shared now. What cannot be read is left out: a server removes files at any time, and its owner may put other
    /// things there.
    /// </summary>
    /// <param name="ranges">Those of one file come one after the other, in order.</param>
    /// <param name="cancellationToken">What has been shared stays so.</param>
    public static long Share(string folder, string other, IEnumerable<FileRange> ranges, CancellationToken cancellationToken)
    {
        var shared = 0L;
        var (own, its) = (ArrayPool<byte>.Shared.Rent(PieceBytes), ArrayPool<byte>.Shared.Rent(PieceBytes));
        try
        {
            foreach (var file in Joined(ranges).GroupBy(static range => range.File))
                Share(Path.Combine(folder, file.Key), Path.Combine(other, file.Key), file, own, its, ref shared, cancellationToken);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(own);
            ArrayPool<byte>.Shared.Return(its);
        }

        return shared;
    }

    static void Share(string path, string otherPath, IEnumerable<FileRange> ranges, byte[] own, byte[] its, ref long shared, CancellationToken cancellationToken)
    {
        try
        {
            using var file = FileControl.Open(path);
            using var other = FileControl.Open(otherPath);
            var limit = Math.Min(RandomAccess.GetLength(file), RandomAccess.GetLength(other));
            foreach (var (offset, length) in ranges.SelectMany(range => Pieces(range, limit)))
            {
                cancellationToken.ThrowIfCancellationRequested();
                var read = Math.Min(RandomAccess.Read(file, own.AsSpan(0, length), offset), RandomAccess.Read(other, its.AsSpan(0, length), offset));
                foreach (var (start, count) in Runs(own, its, read / PageBytes))
                    shared += ShareRange(file, other, offset + start, count);
            }
        }
        catch (Exception exception) when (exception is IOException or NotSupportedException)
        {
            // It keeps what it has.
        }
    }

    // Neighbouring ranges are one: a page may lie in two of them.
    static IEnumerable<FileRange> Joined(IEnumerable<FileRange> ranges)
    {
        FileRange? open = null;
        foreach (var range in ranges)
        {
            if (open is { } before && before.File == range.File && before.End == range.Offset)
            {
                open = before with { Length = before.Length + range.Length };
                continue;
            }

            if (open is { } done)
                yield return done;
            open = range;
        }

        if (open is { } last)
            yield return last;
    }

    static IEnumerable<(long Offset, int Length)> Pieces(FileRange range, long limit)
    {
        var end = Math.Min(range.End, limit) / PageBytes * PageBytes;
        for (var offset = (range.Offset + PageBytes - 1) / PageBytes * PageBytes; offset < end; offset += PieceBytes)
            yield return (offset, (int)Math.Min(PieceBytes, end - offset));
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

/// <summary>A part of a file.</summary>
/// <param name="File">Its name below a folder.</param>
/// <param name="Offset">Bytes from the file's begin.</param>
internal readonly record struct FileRange(string File, long Offset, long Length)
{
    public long End => Offset + Length;
}
