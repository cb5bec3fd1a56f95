"""Documents in the composer and in questions, and why a file is not taken."""

from __future__ import annotations

DOCUMENTS: dict[str, tuple[str, str]] = {
    "documents": ("Documents of the next message", "随下一条消息发送的文档"),
    "documents_add": ("Add a document", "添加文档"),
    "documents_drop": ("Drop files to add them to the message", "松开即可把文件加入消息"),
    "documents_pasted": ("Pasted text.txt", "粘贴的文本.txt"),
    "documents_reading": ("Reading", "正在读取"),
    "documents_question": (
        "Summarise the document in a few points, each with the part it comes from.",
        "用几个要点概括这份文档，并注明每点的出处。",
    ),
    "documents_all_pages": ("{pages} {pages:page|pages}", "{pages} 页"),
    "documents_part": ("only {pages}", "仅 {pages}"),
    "documents_tokens": ("{tokens} {tokens:token|tokens}", "{tokens} 个词元"),
    "documents_about_tokens": ("about {tokens} {tokens:token|tokens}", "约 {tokens} 个词元"),
    "documents_pages": ("all of it", "全部"),
    "documents_pages_label": ("Pages of {name} to send, such as 1-10", "要发送的 {name} 页码，例如 1-10"),
    "documents_remove": ("Remove {name}", "移除 {name}"),
    "documents_no_range": (
        "{pages} is no range of this document. Write pages such as 3-10, 15.",
        "{pages} 不是这份文档中的页码范围。请写成 3-10, 15 这样的形式。",
    ),
    "documents_too_much": (
        "The documents need {tokens} {tokens:token|tokens}, and {room} {room:is|are} free. {raised}, send only some "
        "pages (1-10), have all of it read in parts, or ask the knowledge base, which finds the passages that matter.",
        "文档需要 {tokens} 个词元，目前只有 {room} 个可用。{raised}，只发送部分页（1-10），"
        "分段阅读全文，或改用知识库，它会找出相关段落。",
    ),
    "documents_in_parts": ("Read in parts", "分段阅读"),
    "documents_in_parts_info": (
        "Reads all of it part by part, notes each with its pages, and answers from the notes",
        "逐段阅读全文，为每段做笔记并注明页码，再根据笔记回答",
    ),
    "documents_ask_files": ("Ask the knowledge base", "向知识库提问"),
    "documents_ask_files_info": (
        "Keeps the documents in a collection of the Files tab, and asks there",
        "把文档存入“文件”页的文件集，并在那里提问",
    ),
    "step_part": ("Part {number} of {count} ({place})", "第 {number}/{count} 段（{place}）"),
    "step_join": ("Joining the notes, {number} of {count}", "正在合并笔记 {number}/{count}"),
    "notes_all": ("Notes on {count} {count:part|parts}", "{count} 段的笔记"),
    "notes_some": ("Notes on {number} of {count} {count:part|parts}", "{count} 段中 {number} 段的笔记"),
    "notes_read": ("{tokens} {tokens:token|tokens} read in {seconds} s", "{seconds} 秒内读取 {tokens} 个词元"),
    "notes_nothing": ("nothing noted", "无笔记"),
    "documents_raise": (
        "Raise the context length in the settings (now {context}, at most {most})",
        "请在设置中增大上下文长度（现为 {context}，最大 {most}）",
    ),
    "documents_no_raise": (
        "Start the server with a longer context (now {context}, the most it has)",
        "请以更长的上下文启动服务器（现为 {context}，已是最大值）",
    ),
    "document_note_bytes_damaged": (
        "read as {encoding}; damaged places, marked by \ufffd: {places}",
        "按 {encoding} 编码读取；{places} 处损坏，以 \ufffd 标出",
    ),
    "document_note_damaged_pages": ("p. {pages}: damaged, not read", "第 {pages} 页已损坏，无法读取"),
    "document_note_encoding_found": ("read as {encoding}", "按 {encoding} 编码读取"),
    "document_note_encoding_unsure": (
        "read as {encoding}, but it may be {others}: if signs look wrong, save it as UTF-8",
        "按 {encoding} 编码读取，也可能是 {others}：如有乱码，请另存为 UTF-8",
    ),
    "document_note_formulas_unsaved": (
        "{cells} {cells:formula has|formulas have} no saved value and {cells:stands|stand} as typed",
        "{cells} 个公式没有保存结果，按原文显示",
    ),
    "document_note_macros_ignored": ("its macros were not run", "其中的宏没有运行"),
    "document_note_old_page_breaks": ("pages as Word last laid them out", "页码按 Word 上次的排版"),
    "document_note_other_kind": ("named .{named}, read as {kind}", "扩展名为 .{named}，按 {kind} 读取"),
    "document_note_scanned_pages": ("p. {pages}: scanned, without text", "第 {pages} 页是没有文字的扫描件"),
    "document_archive": (
        "{name} is an archive. Unpack it, and send the files in it.",
        "{name} 是压缩包。请解压后发送里面的文件。",
    ),
    "document_broken": (
        "{name} is damaged or cut off: it cannot be read as {kind}. Open it in its program and save it again.",
        "{name} 已损坏或不完整，无法按 {kind} 读取。请用原来的程序打开并重新保存。",
    ),
    "notice_documents_full": (
        "The server keeps as many documents as it can just now. Try again later.",
        "服务器保存的文档已达上限，请稍后再试。",
    ),
    "notice_guests_documents_full": (
        "All guests together keep as many documents here as they may. Try again later.",
        "所有访客在此保存的文档合计已达上限，请稍后再试。",
    ),
    "notice_another_file": (
        "Another file is being read. Try again in a few seconds.",
        "正在读取另一个文件，请几秒后再试。",
    ),
    "document_left_out": (
        "{count} {count:file|files} left out: no more than {limit} at once.",
        "有 {count} 个文件未添加：一次最多 {limit} 个。",
    ),
    "document_broke_off": ("The upload broke off. Try again.", "上传中断了，请再试一次。"),
    "document_empty": ("{name} is empty: it has 0 bytes.", "{name} 是空文件，0 字节。"),
    "document_encrypted": (
        "{name} is protected by a password. Save a copy without one, and send that.",
        "{name} 有密码保护。请另存一份不带密码的再发送。",
    ),
    "document_no_text": ("{name} has no text in it.", "{name} 里没有文字。"),
    "document_not_kept": (
        "The document is kept no longer. Send the file again.",
        "这份文档已不再保留，请重新上传。",
    ),
    "document_not_text": (
        "{name} is no text: it holds the bytes of {kind}.",
        "{name} 不是文本，内容是 {kind}。",
    ),
    "document_old_office": (
        "{name} is in the format of before 2007. Save it as .docx, .xlsx or .pptx, and send that.",
        "{name} 是 2007 年以前的格式。请另存为 .docx、.xlsx 或 .pptx 再发送。",
    ),
    "document_scanned": (
        "{name} is a scan: its pages ({pages}) are pictures. Run text recognition (OCR) over it first.",
        "{name} 是扫描件：{pages} 页都是图片。请先做文字识别（OCR）。",
    ),
    "document_too_costly": (
        "{name} takes too much time or memory to read. Send a part of it.",
        "读取 {name} 需要的时间或内存太多。请只发送一部分。",
    ),
    "document_too_large": (
        "{name} is over the limit of {limit} MiB. Send a part of it.",
        "{name} 超过 {limit} MiB 的上限。请只发送一部分。",
    ),
    "document_too_many_pages": (
        "{name} has {pages} pages; {limit} can be read. Send a part of it.",
        "{name} 有 {pages} 页，最多读取 {limit} 页。请只发送一部分。",
    ),
    "document_too_much_text": (
        "{name} holds more than {limit} characters of text. Send a part of it.",
        "{name} 的文字超过 {limit} 个字符。请只发送一部分。",
    ),
    "document_unknown_encoding": (
        "{name} is no text in an encoding that is known here. Save it as UTF-8, and send that.",
        "无法识别 {name} 的文字编码。请另存为 UTF-8 再发送。",
    ),
    "document_unknown_kind": (
        "{name} is of a kind that is not read. Text, code, CSV, JSON, HTML, PDF, DOCX, XLSX and PPTX are.",
        "不支持 {name} 的类型。可以发送文本、代码、CSV、JSON、HTML、PDF、DOCX、XLSX 和 PPTX。",
    ),
    "document_unpacks_too_large": (
        "{name} unpacks to more than {limit} MiB, as files made to do harm do. It was not opened.",
        "{name} 解压后超过 {limit} MiB，像是有害文件，没有打开。",
    ),
    "document_xml_entities": (
        "{name} holds XML entities, which no Office program writes. It was not opened.",
        "{name} 含有 Office 程序不会写的 XML 实体，没有打开。",
    ),
}
