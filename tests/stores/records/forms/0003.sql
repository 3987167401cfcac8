BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0003');
CREATE TABLE bodies (
	id INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	request_id VARCHAR NOT NULL, 
	client VARCHAR NOT NULL, 
	question VARCHAR NOT NULL, 
	answer VARCHAR NOT NULL, 
	calls VARCHAR NOT NULL, 
	cut BOOLEAN NOT NULL, 
	size BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "bodies" VALUES(1,1790000000.0,'req_0','alice','[{"role":"user","content":"Why?"}]','Because.','',0,42);
CREATE TABLE receipts (
	id INTEGER NOT NULL, 
	at DOUBLE NOT NULL, 
	request_id VARCHAR NOT NULL, 
	surface VARCHAR NOT NULL, 
	client VARCHAR NOT NULL, 
	asked VARCHAR NOT NULL, 
	stream BOOLEAN NOT NULL, 
	status SMALLINT NOT NULL, 
	code VARCHAR NOT NULL, 
	provider VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	attempts INTEGER NOT NULL, 
	trail VARCHAR NOT NULL, 
	prompt BIGINT NOT NULL, 
	completion BIGINT NOT NULL, 
	reasoning BIGINT NOT NULL, 
	cached BIGINT NOT NULL, 
	estimated BOOLEAN NOT NULL, 
	finish VARCHAR NOT NULL, 
	queued DOUBLE NOT NULL, 
	overhead DOUBLE NOT NULL, 
	first_event DOUBLE, 
	total DOUBLE NOT NULL, 
	caller_left BOOLEAN NOT NULL, 
	continued INTEGER NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "receipts" VALUES(1,1790000000.0,'req_0','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,NULL,0.0,0,0);
INSERT INTO "receipts" VALUES(2,1790005000.0,'req_1','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,0.5,0,0);
INSERT INTO "receipts" VALUES(3,1790010000.0,'req_2','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,1.0,0,0);
INSERT INTO "receipts" VALUES(4,1790015000.0,'req_3','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,NULL,1.5,0,0);
INSERT INTO "receipts" VALUES(5,1790020000.0,'req_4','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,2.0,0,0);
INSERT INTO "receipts" VALUES(6,1790025000.0,'req_5','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,2.5,0,0);
INSERT INTO "receipts" VALUES(7,1790030000.0,'req_6','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,NULL,3.0,0,0);
INSERT INTO "receipts" VALUES(8,1790035000.0,'req_7','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,3.5,0,0);
INSERT INTO "receipts" VALUES(9,1790040000.0,'req_8','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,4.0,0,0);
INSERT INTO "receipts" VALUES(10,1790045000.0,'req_9','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,NULL,4.5,0,0);
INSERT INTO "receipts" VALUES(11,1790050000.0,'req_10','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,5.0,0,0);
INSERT INTO "receipts" VALUES(12,1790055000.0,'req_11','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,5.5,0,0);
INSERT INTO "receipts" VALUES(13,1790060000.0,'req_12','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,NULL,6.0,0,0);
INSERT INTO "receipts" VALUES(14,1790065000.0,'req_13','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,6.5,0,0);
INSERT INTO "receipts" VALUES(15,1790070000.0,'req_14','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,7.0,0,0);
INSERT INTO "receipts" VALUES(16,1790075000.0,'req_15','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,NULL,7.5,0,0);
INSERT INTO "receipts" VALUES(17,1790080000.0,'req_16','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,8.0,0,0);
INSERT INTO "receipts" VALUES(18,1790085000.0,'req_17','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,8.5,0,0);
INSERT INTO "receipts" VALUES(19,1790090000.0,'req_18','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,NULL,9.0,0,0);
INSERT INTO "receipts" VALUES(20,1790095000.0,'req_19','openai','alice','free-fast',0,200,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,9.5,0,0);
INSERT INTO "receipts" VALUES(21,1790000000.0,'req_1','openai','alice','free-fast',0,502,'upstream_failed','','','k1',1,'[{"provider":"gemini","kind":"fault"}]',10,20,0,0,0,'stop',0.0,0.0004,0.25,0.5,0,0);
INSERT INTO "receipts" VALUES(22,1790000000.0,'req_1','openai','alice','free-fast',0,499,'','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,0.5,1,0);
INSERT INTO "receipts" VALUES(23,1790000000.0,'req_1','openai','bob','free-fast',0,200,'stalled','groq','openai/gpt-oss-120b','k1',1,'',10,20,0,0,0,'stop',0.0,0.0004,0.25,0.5,0,0);
CREATE TABLE usage_daily (
	start BIGINT NOT NULL, 
	client VARCHAR NOT NULL, 
	provider VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	requests BIGINT NOT NULL, 
	failed BIGINT NOT NULL, 
	callers_left BIGINT NOT NULL, 
	attempts BIGINT NOT NULL, 
	prompt BIGINT NOT NULL, 
	completion BIGINT NOT NULL, 
	reasoning BIGINT NOT NULL, 
	cached BIGINT NOT NULL, 
	first_events BIGINT NOT NULL, 
	queued DOUBLE NOT NULL, 
	first_event DOUBLE NOT NULL, 
	total DOUBLE NOT NULL, 
	PRIMARY KEY (start, client, provider, model)
)
 WITHOUT ROWID

;
INSERT INTO "usage_daily" VALUES(1789948800,'alice','','',1,1,0,1,10,20,0,0,1,0.0,0.25,0.5);
INSERT INTO "usage_daily" VALUES(1789948800,'alice','groq','openai/gpt-oss-120b',9,0,1,9,90,180,0,0,6,0.0,1.5,14.5);
INSERT INTO "usage_daily" VALUES(1789948800,'bob','groq','openai/gpt-oss-120b',1,1,0,1,10,20,0,0,1,0.0,0.25,0.5);
INSERT INTO "usage_daily" VALUES(1790035200,'alice','groq','openai/gpt-oss-120b',12,0,0,12,120,240,0,0,8,0.0,2.0,81.0);
CREATE TABLE usage_hourly (
	start BIGINT NOT NULL, 
	client VARCHAR NOT NULL, 
	provider VARCHAR NOT NULL, 
	model VARCHAR NOT NULL, 
	requests BIGINT NOT NULL, 
	failed BIGINT NOT NULL, 
	callers_left BIGINT NOT NULL, 
	attempts BIGINT NOT NULL, 
	prompt BIGINT NOT NULL, 
	completion BIGINT NOT NULL, 
	reasoning BIGINT NOT NULL, 
	cached BIGINT NOT NULL, 
	first_events BIGINT NOT NULL, 
	queued DOUBLE NOT NULL, 
	first_event DOUBLE NOT NULL, 
	total DOUBLE NOT NULL, 
	PRIMARY KEY (start, client, provider, model)
)
 WITHOUT ROWID

;
INSERT INTO "usage_hourly" VALUES(1789999200,'alice','','',1,1,0,1,10,20,0,0,1,0.0,0.25,0.5);
INSERT INTO "usage_hourly" VALUES(1789999200,'alice','groq','openai/gpt-oss-120b',2,0,1,2,20,40,0,0,1,0.0,0.25,0.5);
INSERT INTO "usage_hourly" VALUES(1789999200,'bob','groq','openai/gpt-oss-120b',1,1,0,1,10,20,0,0,1,0.0,0.25,0.5);
INSERT INTO "usage_hourly" VALUES(1790002800,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,0.5);
INSERT INTO "usage_hourly" VALUES(1790010000,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,1.0);
INSERT INTO "usage_hourly" VALUES(1790013600,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,0,0.0,0.0,1.5);
INSERT INTO "usage_hourly" VALUES(1790017200,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,2.0);
INSERT INTO "usage_hourly" VALUES(1790024400,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,2.5);
INSERT INTO "usage_hourly" VALUES(1790028000,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,0,0.0,0.0,3.0);
INSERT INTO "usage_hourly" VALUES(1790031600,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,3.5);
INSERT INTO "usage_hourly" VALUES(1790038800,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,4.0);
INSERT INTO "usage_hourly" VALUES(1790042400,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,0,0.0,0.0,4.5);
INSERT INTO "usage_hourly" VALUES(1790049600,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,5.0);
INSERT INTO "usage_hourly" VALUES(1790053200,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,5.5);
INSERT INTO "usage_hourly" VALUES(1790056800,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,0,0.0,0.0,6.0);
INSERT INTO "usage_hourly" VALUES(1790064000,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,6.5);
INSERT INTO "usage_hourly" VALUES(1790067600,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,7.0);
INSERT INTO "usage_hourly" VALUES(1790074800,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,0,0.0,0.0,7.5);
INSERT INTO "usage_hourly" VALUES(1790078400,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,8.0);
INSERT INTO "usage_hourly" VALUES(1790082000,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,8.5);
INSERT INTO "usage_hourly" VALUES(1790089200,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,0,0.0,0.0,9.0);
INSERT INTO "usage_hourly" VALUES(1790092800,'alice','groq','openai/gpt-oss-120b',1,0,0,1,10,20,0,0,1,0.0,0.25,9.5);
CREATE TABLE writers (
	origin VARCHAR NOT NULL, 
	number BIGINT NOT NULL, 
	at DOUBLE NOT NULL, 
	PRIMARY KEY (origin)
);
INSERT INTO "writers" VALUES('run',17,1790000000.0);
CREATE INDEX receipts_at ON receipts (at);
CREATE INDEX bodies_at ON bodies (at, size);
COMMIT;
