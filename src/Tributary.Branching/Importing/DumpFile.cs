using System.Text;

namespace Tributary.Branching.Importing;

/// <summary>What <c>pg_dump</c> can write.</summary>
internal enum DumpFormat
{
    Plain,
    Custom,
    Tar,
    Directory,
}

/// <summary>A dump, known by what is in it and not by its name.</summary>
internal sealed record DumpFile(string Path, DumpFormat Format)
{
    /// <summary>What a dump says of itself is within its first lines; <c>--create</c> comes after a page of settings and comments.</summary>
    const int HeadBytes = 64 * 1024;

    /// <summary>Where tar keeps its mark (POSIX.1-2017, pax: ustar header block).</summary>
    const int TarMarkOffset = 257;

    const string ArchiveMark = "PGDMP";

    const string TableOfContents = "toc.dat";

    /// <summary>Answers why it is no dump that can be imported, instead of one.</summary>
    public static BranchResult<DumpFile> Recognise(string path)
    {
        try
        {
            if (Directory.Exists(path))
            {
                return File.Exists(System.IO.Path.Combine(path, TableOfContents)) && Starts(Head(System.IO.Path.Combine(path, TableOfContents)), ArchiveMark)
                    ? new DumpFile(path, DumpFormat.Directory)
                    : Refused($"{path} is a folder without a {TableOfContents} of pg_dump --format=directory.");
            }

            return File.Exists(path) ? Recognise(path, Head(path)) : Refused($"There is no {path} on this machine.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return Refused($"{path} cannot be read: {exception.Message}");
        }
    }

    static BranchResult<DumpFile> Recognise(string path, byte[] head)
    {
        if (Starts(head, ArchiveMark))
            return new DumpFile(path, DumpFormat.Custom);
        if (head.Length > TarMarkOffset && Starts(head[TarMarkOffset..], "ustar"))
            return Starts(head, TableOfContents + '\0') ? new DumpFile(path, DumpFormat.Tar) : Refused($"{path} is a tar, but not one by pg_dump --format=tar.");
        if (head is [0x1f, 0x8b, ..] or [0x28, 0xb5, 0x2f, 0xfd, ..])
            return Refused($"{path} is compressed. Unpack it first (gunzip, unzstd); a dump by pg_dump --format=custom is compressed by itself.");
        var lines = Encoding.UTF8.GetString(head).Split('\n').Select(line => line.TrimEnd('\r')).ToList();
        if (lines.Contains("-- PostgreSQL database cluster dump"))
            return Refused($"{path} is a dump of a whole cluster by pg_dumpall, and one database is imported at a time. Dump it by pg_dump.");
        if (!lines.Contains("-- PostgreSQL database dump"))
            return Refused($"{path} is no dump by pg_dump: it is neither plain SQL of it, nor its custom, tar or directory format.");
        return lines.Any(line => line.StartsWith("\\connect ", StringComparison.Ordinal) || line.StartsWith("CREATE DATABASE ", StringComparison.Ordinal))
            ? Refused($"{path} makes its database itself, since it was made with --create. Dump it without, and name the database with --database.")
            : new DumpFile(path, DumpFormat.Plain);
    }

    static bool Starts(byte[] head, string mark) => head.AsSpan().StartsWith(Encoding.ASCII.GetBytes(mark));

    static byte[] Head(string file)
    {
        using var stream = File.OpenRead(file);
        var head = new byte[HeadBytes];
        return head[..stream.ReadAtLeast(head, head.Length, throwOnEndOfStream: false)];
    }

    static BranchError Refused(string message) => new(BranchErrorKind.InvalidRequest, message);
}
